package brokersim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim/internal/guard"
)

// A member joins again, and its group's broker is deposed while it relays that. The member joins
// at the next one, and is at work when the old join arrives: that must not count as one more, for
// the member has given up nothing, and would only hear that its generation is over.
func TestAJoinThatADeposedBrokerRelays(t *testing.T) {
	killed(t, guard.RelayedByLeader, func(s *groupStory) string {
		a, b := s.hand(), s.hand()
		a.rebalance, b.rebalance = time.Minute, time.Minute
		a.works(s.home, 5)
		release := s.holdRelays(s.home)
		before := *a
		late := before.joins(s.home)
		time.Sleep(10 * time.Millisecond)
		s.elect()
		require.ErrorIs(s.t, <-late, kerr.NotCoordinator)
		require.EqualValues(s.t, 5, b.shows(s.next))
		s.share(s.next, a, b)
		s.ruleEnds()
		release()
		time.Sleep(10 * time.Millisecond)
		if errors := [2]error{b.heartbeat(s.next), a.commit(s.next, a.generation, 7)}; errors != [2]error{} {
			rejoined := b.join(s.next)
			return fmt.Sprintf("b's heartbeat in generation %d ends with %v, and its join with %v; a, who never was told to rejoin, commits what it did: %v",
				a.generation, errors[0], rejoined, a.commit(s.next, a.generation, 7))
		}
		return ""
	})
}
