package brokersim_test

import (
	"context"
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

// A join is relayed by the group's broker, and while the entry of its generation is on its way
// through Raft, behind one that deposes that broker, the answer is. The new broker has
// heard of its leadership and not of the generation yet: it still lets in commits of the
// last one. So the old one, which hears of both, must not pass the answer on.
func TestS46ADeposedBrokerPassesNothingOn(t *testing.T) {
	killed(t, guard.LeadsBeforeAnswer, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.rebalance = time.Minute
		a.works(s.home, 5)
		s.ruleEnds()
		joined := b.joins(s.home)
		time.Sleep(10 * time.Millisecond)
		for _, n := range s.c.Coordinator().Nodes() {
			n.Disk().Slow(0, 50*time.Millisecond)
			// The poll that is under way brings the first entry, and the next one does not return.
			defer brokersim.HoldRequests(s.c.Cluster, brokersim.B(s.next.ID()), brokersim.Q(n.ID()), kmsg.Fetch.Int16())()
		}
		elected := s.elects()
		time.Sleep(20 * time.Millisecond)
		again := *a
		_ = again.joins(s.home) // of another thread
		err := <-joined
		require.NoError(s.t, <-elected)
		began := b.shows(s.next)
		late := patiently(func() error { return a.commit(s.next, 1, 7) })
		if err == nil {
			return fmt.Sprintf("b hears of generation %d and finds %d committed; then a commit of generation 1 ends with %v, and makes it %d", b.generation, began, late, b.shows(s.next))
		}
		require.ErrorIs(s.t, err, kerr.NotCoordinator)
		require.NoError(s.t, late, "nobody has heard of another generation")
		return ""
	})
}

// beating has a member heartbeat until stop is called, at whoever is the group's broker.
func (h *hand) beating() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if home := h.s.c.Cluster.Leader(metadata.OffsetsTopic, 0); home != nil && home.Process().Up() {
				if err := h.heartbeat(home); isOver(err) {
					ended <- err
					return
				}
			}
			time.Sleep(200 * time.Millisecond)
		}
		ended <- nil
	}()
	return func() error { cancel(); return <-ended }
}

// The group's broker is silent for longer than its members' sessions, and shorter than its own:
// nobody could be heard, so nobody has expired.
func TestSessionsStandStillWhileTheBrokerIsSilent(t *testing.T) {
	killed(t, guard.StandStill, func(s *groupStory) string {
		return s.oneGeneration(func() {
			s.home.Pause()
			time.Sleep(3 * time.Second)
			s.home.Resume()
			time.Sleep(2 * time.Second)
		})
	})
}

// The group's broker dies, and every member's session is shorter than the broker's.
func TestAGroupOutlivesItsBroker(t *testing.T) {
	for name, dies := range map[string]func(*brokersim.Broker) error{"killed": (*brokersim.Broker).Kill, "power": (*brokersim.Broker).PowerOff} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				s := newGroupStory(t)
				require.Empty(t, s.oneGeneration(func() {
					require.NoError(t, dies(s.home))
					time.Sleep(15 * time.Second)
				}))
			})
		})
	}
}

// oneGeneration has two members with short sessions heartbeat through something, and tells who of
// them was lost.
func (s *groupStory) oneGeneration(through func()) (wrong string) {
	a, b := s.hand(), s.hand()
	a.session, b.session = time.Second, time.Second
	a.works(s.home, 5)
	s.share(s.home, a, b)
	beats := []func() error{a.beating(), b.beating()}
	s.ruleEnds()
	through()
	for _, stop := range beats {
		if err := stop(); err != nil {
			wrong += fmt.Sprintf("a member that never ceased to heartbeat is told %v\n", err)
		}
	}
	return wrong
}
