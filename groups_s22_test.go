package brokersim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// cutOff lets nobody replicate what a broker appends, nor tell it what others do.
func (s *groupStory) cutOff(b *brokersim.Broker) *brokersim.Fault {
	var others []brokersim.End
	for _, o := range s.c.Brokers() {
		if o != b {
			others = append(others, brokersim.B(o.ID()))
		}
	}
	return s.c.Net().Cut([]brokersim.End{brokersim.B(b.ID())}, others)
}

// S22 (KAFKA-20634): a commit is written and not replicated when its broker is deposed. The
// broker takes the new leader's log and leads again; its high watermark passes the offset
// where the commit was. It is another record's now.
func TestS22AckAfterTruncation(t *testing.T) {
	killed(t, guard.WaitInEpoch, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		s.ruleEnds()
		alone := s.cutOff(s.home)
		committed := a.commits(s.home, 1, 7)
		time.Sleep(10 * time.Millisecond)
		s.elect()
		time.Sleep(10 * time.Millisecond)
		alone.Heal()
		s.c.Must(brokersim.FullISR())
		require.EqualValues(s.t, 5, b.shows(s.next))
		require.NoError(s.t, s.next.Kill())
		s.c.Must(brokersim.LedBy(metadata.OffsetsTopic, 0, s.home.ID()))
		err := <-committed
		if now := b.shows(s.home); err == nil || now != 5 {
			return fmt.Sprintf("a commit that was truncated ends with %v, and %d is committed", err, now)
		}
		return ""
	})
}

// A commit that its leader has and nobody else must not be shown: it may be lost, and the
// committed offset would go back.
func TestWhatIsShownCannotBeLost(t *testing.T) {
	killed(t, guard.FetchCommitted, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		s.ruleEnds()
		alone := s.cutOff(s.home)
		_ = a.commits(s.home, 1, 7)
		time.Sleep(10 * time.Millisecond)
		shown, err := b.committed(s.home)
		require.NoError(s.t, s.home.Kill())
		alone.Heal()
		s.c.Must(brokersim.HasLeader(metadata.OffsetsTopic, 0))
		if now := b.shows(s.c.Leader(metadata.OffsetsTopic, 0)); err == nil && now != shown {
			return fmt.Sprintf("%d was shown as committed, and then %d", shown, now)
		}
		return ""
	})
}

// The group's broker is deposed by an election and does not know it, nor does it follow the
// new one, but is still in the ISR. It lets a commit in, and leads again when the new
// one dies: what was committed meanwhile must not be overwritten by that. So the new one serves
// nobody before everybody in the ISR has cut what it does not have.
func TestACommitOfADeposedBrokerStaysLost(t *testing.T) {
	killed(t, guard.MarkerFirst, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		time.Sleep(time.Second) // everybody knows that 5 is committed
		s.ruleEnds()
		hears := s.deafen(s.home)
		s.elect()
		_ = a.commits(s.home, 1, 7)
		time.Sleep(10 * time.Millisecond)
		require.NoError(s.t, patiently(func() error { return b.join(s.next) })) // a is too late, and removed
		began := b.shows(s.next)
		s.ruleReturns()
		require.NoError(s.t, s.next.Kill())
		hears()
		s.c.Must(brokersim.HasLeader(metadata.OffsetsTopic, 0))
		leader := s.c.Leader(metadata.OffsetsTopic, 0)
		if now := b.shows(leader); now != began {
			return fmt.Sprintf("generation %d began at %d, and %d is committed now: by a member of generation 1, at a deposed broker", b.generation, began, now)
		}
		return ""
	}, brokersim.BrokerConfig("replica.lag.time.max.ms=3000"))
}

// A member has expired, the group is Empty, and an administrator has set the offsets back: a
// commit that was on its way all the time must not undo that. Its generation is over, too, which
// alone would do.
func TestAResetIsNotUndone(t *testing.T) {
	killed(t, guard.MembersOnly, func(s *groupStory) string {
		defer guard.Generation.Remove()()
		a, admin := s.hand(), s.hand()
		a.session = 2 * time.Second
		a.works(s.home, 5)
		s.ruleEnds()
		slow := s.c.Net().Intercept([]brokersim.End{brokersim.Clients}, []brokersim.End{brokersim.B(s.home.ID())}, 8, brokersim.Delay(6*time.Second))
		late := a.commits(s.home, 1, 7)
		time.Sleep(10 * time.Millisecond)
		slow.Heal()
		time.Sleep(3 * time.Second)
		require.NoError(s.t, admin.commit(s.home, -1, 2))
		err := <-late
		if now := admin.shows(s.home); err == nil || now != 2 {
			return fmt.Sprintf("an old commit ends with %v, and %d is committed, though 2 was set", err, now)
		}
		return ""
	})
}
