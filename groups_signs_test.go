package brokersim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// cutFromCoordinators keeps a broker and all coordinator nodes apart.
func (s *groupStory) cutFromCoordinators(b *brokersim.Broker) *brokersim.Fault {
	var nodes []brokersim.End
	for _, n := range s.c.Coordinator().Nodes() {
		nodes = append(nodes, brokersim.Q(n.ID()))
	}
	return s.c.Net().Cut([]brokersim.End{brokersim.B(b.ID())}, nodes)
}

// holdRelays keeps what a broker passes on to the coordinator on its way; its heartbeats arrive.
func (s *groupStory) holdRelays(b *brokersim.Broker) (release func()) {
	var all []func()
	for _, n := range s.c.Coordinator().Nodes() {
		all = append(all, brokersim.HoldRequests(s.c.Cluster, brokersim.B(b.ID()), brokersim.Q(n.ID()), kmsg.Envelope.Int16()))
	}
	return func() {
		for _, release := range all {
			release()
		}
	}
}

// The group's broker answers a heartbeat, or takes a commit, and the coordinator does not hear of it: it
// removes the member when its session is over, and somebody else joins. The member may count on what
// it owns until it has heard nothing for its session.
func TestWhoIsToldThatItIsAMemberOwnsWhatItOwns(t *testing.T) {
	for _, by := range []struct {
		name string
		sign func(s *groupStory, a *hand) error
	}{
		{"a heartbeat", func(s *groupStory, a *hand) error { return a.heartbeat(s.home) }},
		{"a commit", func(s *groupStory, a *hand) error { return a.commit(s.home, a.generation, 6) }},
	} {
		t.Run(by.name, func(t *testing.T) {
			killed(t, guard.PromiseKept, func(s *groupStory) string {
				a, b := s.hand(), s.hand()
				a.session = 500 * time.Millisecond
				a.works(s.home, 5)
				require.NoError(s.t, a.heartbeat(s.home))
				release := s.holdRelays(s.home)
				time.Sleep(350 * time.Millisecond)
				s.ruleEnds()
				told := time.Now()
				require.NoError(s.t, by.sign(s, a))
				time.Sleep(time.Until(told.Add(400 * time.Millisecond)))
				release()
				require.NoError(s.t, patiently(func() error { return b.join(s.home) }))
				require.NoError(s.t, b.sync(s.home))
				if early := a.session - time.Since(told); early > 0 {
					return fmt.Sprintf("generation %d is assigned %v before a member of generation 1 can know that it is none", b.generation, early)
				}
				require.ErrorContains(s.t, a.heartbeat(s.home), "UNKNOWN_MEMBER_ID")
				return ""
			})
		})
	}
}

// The same while the group rebalances: who is told to rejoin, by the group's broker alone, is still a
// member until it has heard nothing for its session, and owns what it owns until it rejoins.
func TestWhoIsToldToRejoinOwnsWhatItOwns(t *testing.T) {
	killed(t, guard.PromiseKept, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.session, a.rebalance, b.rebalance = 500*time.Millisecond, time.Minute, time.Minute
		a.works(s.home, 5)
		require.NoError(s.t, a.heartbeat(s.home))
		joined := b.joins(s.home)
		time.Sleep(10 * time.Millisecond)
		release := s.holdRelays(s.home)
		time.Sleep(340 * time.Millisecond)
		s.ruleEnds()
		told := time.Now()
		require.ErrorIs(s.t, a.heartbeat(s.home), kerr.RebalanceInProgress, "by what its broker knows")
		time.Sleep(time.Until(told.Add(400 * time.Millisecond)))
		release()
		require.NoError(s.t, <-joined, "a is removed")
		require.NoError(s.t, b.sync(s.home))
		if early := a.session - time.Since(told); early > 0 {
			return fmt.Sprintf("generation %d is assigned %v before a member of generation 1 can know that it is none", b.generation, early)
		}
		require.ErrorContains(s.t, a.heartbeat(s.home), "UNKNOWN_MEMBER_ID")
		return ""
	})
}

// Who has left, or joins again, needs no promise: nobody waits for it.
func TestAPromiseEndsWithWhatItsMemberSays(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		s := newGroupStory(t)
		a, b := s.hand(), s.hand()
		a.rebalance = time.Minute
		b.rebalance = time.Minute
		a.works(s.home, 5)
		joined := b.joins(s.home)
		time.Sleep(10 * time.Millisecond)
		require.NoError(s.t, a.commit(s.home, a.generation, 6), "a commit before it rejoins")
		began := time.Now()
		require.NoError(s.t, a.join(s.home))
		require.NoError(s.t, <-joined)
		s.assigned(s.home, a, b)
		require.NoError(s.t, a.commit(s.home, a.generation, 7))
		require.NoError(s.t, a.leave(s.home))
		require.NoError(s.t, b.join(s.home))
		require.NoError(s.t, b.sync(s.home))
		require.Less(s.t, time.Since(began), 100*time.Millisecond)
	})
}

// The group's broker is cut off, but not from the clients, and fenced. It does not know, and must not
// go on to tell a member that it is one: another broker is the group's, and the member silent there.
func TestABrokerThatIsCutOffSpeaksForNobody(t *testing.T) {
	killed(t, guard.OwnSession, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.session = 2 * time.Second
		a.works(s.home, 5)
		s.ruleEnds()
		apart, alone := s.cutFromCoordinators(s.home), s.cutOff(s.home)
		var told time.Time
		for range 50 {
			sent := time.Now()
			if a.heartbeat(s.home) == nil {
				told = sent
			}
			time.Sleep(100 * time.Millisecond)
		}
		next := s.c.Leader(metadata.OffsetsTopic, 0)
		require.NotEqual(s.t, s.home.ID(), next.ID())
		require.NoError(s.t, patiently(func() error { return b.join(next) }))
		require.NoError(s.t, b.sync(next))
		early := a.session - time.Since(told)
		apart.Heal()
		alone.Heal()
		if early > 0 {
			return fmt.Sprintf("generation %d is assigned %v before a member of generation 1 can know that it is none", b.generation, early)
		}
		return ""
	}, brokersim.BrokerConfig("broker.session.timeout.ms=1000"))
}

// ... nor to show what was committed before another broker became the group's.
func TestABrokerThatIsCutOffShowsNoOffsets(t *testing.T) {
	killed(t, guard.OwnSession, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		require.EqualValues(s.t, 5, b.shows(s.home))
		s.ruleEnds()
		apart, alone := s.cutFromCoordinators(s.home), s.cutOff(s.home)
		time.Sleep(5 * time.Second)
		next := s.c.Leader(metadata.OffsetsTopic, 0)
		require.NoError(s.t, patiently(func() error { return a.commit(next, a.generation, 9) }))
		shown, err := b.committed(s.home)
		apart.Heal()
		alone.Heal()
		if err == nil && shown != 9 {
			return fmt.Sprintf("9 is committed, and a broker that was deposed before shows %d", shown)
		}
		return ""
	}, brokersim.BrokerConfig("broker.session.timeout.ms=1000"))
}

// An assignment that was held back for a promise is not passed on when the group has gone on without
// its member: somebody else may have got it by then.
func TestAnAssignmentThatIsTooLateIsNotPassedOn(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		s := newGroupStory(t)
		a, b, admin := s.hand(), s.hand(), s.hand()
		a.session, a.rebalance = 2*time.Second, 2*time.Second
		a.works(s.home, 5)
		release := s.holdRelays(s.home)
		time.Sleep(1800 * time.Millisecond)
		told := time.Now()
		require.NoError(t, a.heartbeat(s.home))
		time.Sleep(1300 * time.Millisecond)
		release() // a has been removed, and is promised some more
		b.rebalance = time.Minute
		require.NoError(t, patiently(func() error { return b.join(s.home) }))
		synced := make(chan error, 1)
		go func() { synced <- b.sync(s.home) }()
		time.Sleep(10 * time.Millisecond)
		admin.id = b.id
		require.NoError(t, admin.leave(s.home), "somebody removes b")
		require.ErrorIs(t, <-synced, kerr.UnknownMemberID)
		require.GreaterOrEqual(t, time.Since(told), a.session)
	})
}

// Who is told that it is none any more needs no promise either.
func TestAPromiseEndsWithWhatItsMemberIsTold(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		s := newGroupStory(t)
		a, b := s.hand(), s.hand()
		a.session, a.rebalance = 5*time.Second, time.Minute
		a.works(s.home, 5)
		require.NoError(s.t, a.heartbeat(s.home))
		release := s.holdRelays(s.home)
		time.Sleep(3500 * time.Millisecond)
		require.NoError(s.t, a.heartbeat(s.home), "by what its broker knows")
		time.Sleep(3 * time.Second)
		release()
		require.NoError(s.t, patiently(func() error { return b.join(s.home) }))
		began := time.Now()
		synced := make(chan error, 1)
		go func() { synced <- b.sync(s.home) }()
		time.Sleep(10 * time.Millisecond)
		select {
		case err := <-synced:
			t.Fatalf("b is assigned what a may count on: %v", err)
		default:
		}
		require.ErrorIs(s.t, a.heartbeat(s.home), kerr.UnknownMemberID)
		require.NoError(s.t, <-synced)
		require.Less(s.t, time.Since(began), 200*time.Millisecond, "a has to take that in")
	})
}
