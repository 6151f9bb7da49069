package brokersim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/internal/guard"
)

// Somebody joins while a member works. The next generation waits until that has rejoined, for it
// has a minute to do so: it commits what it has done first.
func TestAGenerationWaitsForWhoIsAtWork(t *testing.T) {
	killed(t, guard.JoinBarrier, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.rebalance = time.Minute
		a.works(s.home, 5)
		s.ruleEnds()
		joined := b.joins(s.home)
		time.Sleep(time.Second)
		if err := a.commit(s.home, a.generation, 7); err != nil {
			require.NoError(s.t, <-joined)
			return fmt.Sprintf("b is in generation %d; a, who is at work and has %v to rejoin, commits what it has done: %v", b.generation, a.rebalance, err)
		}
		require.NoError(s.t, a.join(s.home))
		require.NoError(s.t, <-joined)
		require.EqualValues(s.t, 7, b.shows(s.home))
		return ""
	})
}

// cutActive lets the active coordinator hear of no other node, and none of it.
func (s *groupStory) cutActive() *brokersim.Fault {
	active := s.c.Coordinator().Active()
	var others []brokersim.End
	for _, n := range s.c.Coordinator().Nodes() {
		if n != active {
			others = append(others, brokersim.Q(n.ID()))
		}
	}
	return s.c.Net().Cut([]brokersim.End{brokersim.Q(active.ID())}, others)
}

// The active coordinator is cut off from the other nodes when it forms a generation: nobody may
// hear of it, since it never comes to be, and the group's broker lets the last one commit.
func TestAGenerationThatIsNeverCommitted(t *testing.T) {
	killed(t, guard.AnswerAfterFact, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.rebalance, b.rebalance = time.Minute, time.Minute
		a.works(s.home, 5)
		s.share(s.home, a, b)
		again := *a
		_ = again.joins(s.home) // of another thread: everybody is to rejoin
		time.Sleep(10 * time.Millisecond)
		s.ruleEnds()
		alone := s.cutActive()
		return late(s, a, b, b.joins(s.home), alone.Heal)
	})
}

// Another node becomes the active coordinator: the generation that there is goes on.
func TestAGenerationOutlivesTheActiveCoordinator(t *testing.T) {
	killed(t, guard.SameGeneration, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		s.share(s.home, a, b)
		s.ruleEnds()
		require.NoError(s.t, s.c.Coordinator().Active().Kill())
		time.Sleep(3 * time.Second)
		if errs := [2]error{a.heartbeat(s.home), b.heartbeat(s.home)}; errs != [2]error{} {
			return fmt.Sprintf("members of generation %d, in which nothing has changed, are told %v", a.generation, errs)
		}
		return ""
	})
}

// The answer to a join is lost on its way to the group's broker, which asks again: for the same
// member, or the group has one more, which nobody is.
func TestAJoinThatIsSentAgain(t *testing.T) {
	killed(t, guard.OneMember, func(s *groupStory) string {
		old := kversion.Stable()
		old.SetMaxKeyVersion(kmsg.JoinGroup.Int16(), 3) // such a client joins without having been given an id
		a := s.hand(kgo.MaxVersions(old))
		require.EqualValues(s.t, -1, s.hand().shows(s.home), "its broker is ready")
		s.ruleEnds()
		lost := s.loseAnswers(s.home)
		joined := a.joins(s.home)
		time.Sleep(100 * time.Millisecond)
		lost()
		select {
		case err := <-joined:
			require.NoError(s.t, err)
		case <-time.After(10 * time.Second):
			return "a member joins alone, and the group waits for somebody else"
		}
		if slices.Sort(a.roll); !slices.Equal(a.roll, []string{a.id}) {
			return fmt.Sprintf("%s alone joins, and the members are %v", a.id, a.roll)
		}
		require.NoError(s.t, a.sync(s.home))
		return ""
	})
}

// A static member is restarted. It takes its own place in the generation that there is, and nobody
// else notices.
func TestAStaticMemberBounces(t *testing.T) {
	killed(t, guard.OneInstance, func(s *groupStory) string {
		a, b, next := s.hand(), s.hand(), s.hand()
		name := "till"
		a.instance, next.instance = &name, &name
		a.works(s.home, 5)
		s.share(s.home, a, b)
		s.ruleEnds()
		joined := next.joins(s.home)
		time.Sleep(100 * time.Millisecond)
		if err := b.heartbeat(s.home); err != nil {
			return fmt.Sprintf("%s is restarted, and the other member is told %v", name, err)
		}
		require.NoError(s.t, <-joined)
		require.Equal(s.t, b.generation, next.generation)
		require.ErrorContains(s.t, a.heartbeat(s.home), "FENCED_INSTANCE_ID")
		require.NoError(s.t, next.commit(s.home, next.generation, 7))
		return ""
	})
}

// loseAnswers has the coordinator's answers to what a broker passes on be lost on their way.
func (s *groupStory) loseAnswers(b *brokersim.Broker) (end func()) {
	var nodes []brokersim.End
	for _, n := range s.c.Coordinator().Nodes() {
		nodes = append(nodes, brokersim.Q(n.ID()))
	}
	return s.c.Net().Intercept([]brokersim.End{brokersim.B(b.ID())}, nodes, kmsg.Envelope.Int16(), brokersim.DropResponse).Heal
}
