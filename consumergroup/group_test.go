package consumergroup

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// newGroup returns a group that does not exist, at a moment.
func newGroup(t *testing.T) Group {
	g, d, err := Rebuild("orders", defaultConfig(), nil, 0, epoch)
	require.NoError(t, err)
	require.True(t, d.Done)
	return g
}

func joinOf(token Token, id string) Join {
	return Join{
		Token: token, NewMemberID: id, SessionTimeout: time.Minute, RebalanceTimeout: time.Minute,
		ProtocolType: ConsumerProtocolType, Protocols: []Protocol{{"range", "orders"}},
	}
}

func TestAGroupThatDoesNotExistIsForgotten(t *testing.T) {
	g := newGroup(t)
	for _, r := range []Request{Heartbeat{Token: 1, MemberID: "a"}, Sync{Token: 2, MemberID: "a"}, Delete{3}, Leave{4, []Leaver{{"a", ""}}}} {
		d := g.Handle(r, epoch)
		require.Len(t, d.Answers, 1)
		require.True(t, d.Done && d.Propose == nil)
	}
	join := joinOf(5, "a")
	join.MemberID = "a"
	require.ErrorIs(t, g.Handle(join, epoch).Answers[0].Err, metadata.ErrUnknownMemberID)
	d := g.Handle(joinOf(6, "a"), epoch)
	require.False(t, d.Done, "now there is one who waits")
}

// Whoever waits, and for whatever, is told when the coordinator gives up.
func TestCloseAnswersEverybody(t *testing.T) {
	g := newGroup(t)
	g.Handle(joinOf(1, "a"), epoch)
	g.Committed(1, epoch)
	g.Handle(joinOf(2, "b"), epoch) // waits for a
	g.Committed(2, epoch)
	rejoin := joinOf(3, "")
	rejoin.MemberID = "a"
	g.Handle(rejoin, epoch)                             // its answer, and b's, wait for the entry
	g.Handle(Heartbeat{Token: 4, MemberID: "a"}, epoch) // waits its turn
	told := map[Token]bool{}
	for _, a := range g.Close(metadata.ErrNotCoordinator) {
		require.ErrorIs(t, a.Err, metadata.ErrNotCoordinator)
		require.False(t, told[a.To], "told twice")
		told[a.To] = true
	}
	require.Equal(t, map[Token]bool{2: true, 3: true, 4: true}, told)
}

// The group's broker changes while an entry is under way: what is answered by the entry
// is answered, everybody else has to ask the new broker.
func TestMovedWhileAProposalIsUnderWay(t *testing.T) {
	g := newGroup(t)
	require.NotEmpty(t, g.Handle(joinOf(1, "a"), epoch).Propose)
	require.Equal(t, Decision{}, g.Handle(joinOf(2, "b"), epoch))
	require.Equal(t, Decision{}, g.Moved(epoch))
	d := g.Committed(7, epoch)
	require.Len(t, d.Answers, 2)
	require.Equal(t, Token(1), d.Answers[0].To)
	require.NoError(t, d.Answers[0].Err)
	require.Equal(t, int64(7), d.Answers[0].Offset)
	require.ErrorIs(t, d.Answers[1].Err, metadata.ErrNotCoordinator)
}

// A broker that has just relayed something was not silent before that.
func TestTimeDoesNotGoBackBehindWhatWasHeard(t *testing.T) {
	g := newGroup(t)
	now := epoch.Add(time.Hour)
	g.Handle(joinOf(1, "a"), now)
	d := g.Committed(1, now)
	next := d.Next
	g.Freeze(epoch)
	require.Zero(t, g.Tick(now.Add(24*time.Hour)).Next, "time stands still")
	require.Equal(t, next.Add(5*time.Second), g.Thaw(now.Add(5*time.Second)).Next)
}

// What no client of Kafka sends is refused before it becomes a fact that nobody can read.
func TestStringsThatKafkaDoesNotHave(t *testing.T) {
	long := strings.Repeat("x", maxString+1)
	for name, spoil := range map[string]func(*Join){
		"member id": func(r *Join) { r.NewMemberID = long },
		"instance":  func(r *Join) { r.Instance = long },
		"client id": func(r *Join) { r.ClientID = long },
		"type":      func(r *Join) { r.ProtocolType = long },
		"protocol":  func(r *Join) { r.Protocols = append(r.Protocols, Protocol{Name: long}) },
	} {
		r := joinOf(1, "a")
		spoil(&r)
		d := newGroup(t).Handle(r, epoch)
		require.Nil(t, d.Propose, name)
		require.ErrorIs(t, d.Answers[0].Err, metadata.ErrInvalidRequest, name)
	}
}

type otherFacts struct{ ClassicFacts }

func (*otherFacts) Kind() Kind { return 9 }

func TestAnotherKindIsRefused(t *testing.T) {
	_, _, err := Rebuild("orders", defaultConfig(), &otherFacts{}, 1, epoch)
	require.ErrorIs(t, err, metadata.ErrUnsupportedVersion)
	require.Equal(t, Classic, (&ClassicFacts{}).Kind())
}
