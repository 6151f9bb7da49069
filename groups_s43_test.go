package brokersim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/guard"
)

// S43: a process is stopped in generation 1, and another thread of it has joined generation
// 2 when it goes on and commits what it had done.
func TestS43ZombieMemberCommit(t *testing.T) {
	killed(t, guard.Generation, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		s.ruleEnds()
		s.share(s.home, a, b)
		require.NoError(s.t, b.commit(s.home, b.generation, 9))
		err := a.commit(s.home, 1, 7)
		if now := b.shows(s.home); err == nil || now != 9 {
			return fmt.Sprintf("a commit of generation 1 in generation %d ends with %v, and %d is committed", b.generation, err, now)
		}
		return ""
	})
}

// A commit is under way on a slow disk while the next generation forms: who is in that
// must not see what was committed before it, and then find it overwritten.
func TestACommitUnderWayWhenTheNextGenerationForms(t *testing.T) {
	killed(t, guard.FenceBeforeAnswer, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		s.ruleEnds()
		slow := s.home.Disk().Slow(2*time.Second, 0)
		committed := a.commits(s.home, 1, 7)
		time.Sleep(10 * time.Millisecond)
		joined := b.joins(s.home) // a is too late, and removed
		require.NoError(s.t, <-joined)
		began := b.shows(s.home)
		err := <-committed
		slow.Heal()
		if now := b.shows(s.home); now != began {
			return fmt.Sprintf("generation %d began at %d, and a commit of generation 1 that ends with %v makes it %d", b.generation, began, err, now)
		}
		return ""
	})
}

// The group's broker replays late. Who has heard of the next generation must not be
// overwritten by who is let in by the facts of the last one.
func TestACommitByFactsThatAreOver(t *testing.T) {
	killed(t, guard.ReplayBeforeAnswer, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.works(s.home, 5)
		s.ruleEnds()
		hears := s.deafen(s.home)
		joined := b.joins(s.home)
		return late(s, a, b, joined, hears)
	})
}

// S47: another process takes the place of a static member, in the same generation.
func TestS47TheOldSelfOfAStaticMemberCommits(t *testing.T) {
	killed(t, guard.ReplayBeforeAnswer, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		name := "till"
		a.instance, b.instance = &name, &name
		a.works(s.home, 5)
		s.ruleEnds()
		hears := s.deafen(s.home)
		return late(s, a, b, b.joins(s.home), hears)
	})
}

// late has a commit after b has heard that a is over. While the broker is deaf that must
// not happen.
func late(s *groupStory, a, b *hand, joined <-chan error, hears func()) string {
	heard := false
	select {
	case err := <-joined:
		require.NoError(s.t, err)
		heard = true
	case <-time.After(2 * time.Second):
	}
	before := a.commit(s.home, a.generation, 7) // before b has heard it may
	if !heard {
		hears()
		require.NoError(s.t, <-joined)
	}
	began := b.shows(s.home)
	err := a.commit(s.home, a.generation, 8)
	if now := b.shows(s.home); heard && before == nil || err == nil || now != began {
		return fmt.Sprintf("b is in generation %d and began at %d; commits of a's end with %v and %v, and make it %d", b.generation, began, before, err, now)
	}
	return ""
}
