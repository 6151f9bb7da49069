package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// S44: the group leader dies when everybody has joined and nobody knows what to do yet. Who
// waits for its assignment is told to join again when the leader's session is over, and leads.
func TestS44TheGroupLeaderDiesBeforeSync(t *testing.T) {
	for name, meanwhile := range map[string]func(s *groupStory) (home *brokersim.Broker){
		"and nothing else happens": func(s *groupStory) *brokersim.Broker { return s.home },
		"and the active coordinator with it": func(s *groupStory) *brokersim.Broker {
			require.NoError(s.t, s.c.Coordinator().Active().Kill())
			return s.home
		},
		"and the group moves": func(s *groupStory) *brokersim.Broker {
			s.elect()
			return s.next
		},
		"and the group's broker with it": func(s *groupStory) *brokersim.Broker {
			require.NoError(s.t, s.home.Kill())
			s.c.Must(brokersim.LedBy("__consumer_offsets", 0, s.next.ID()))
			return s.next
		},
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				s := newGroupStory(t)
				leader, b := s.hand(), s.hand()
				leader.session, b.session = 6*time.Second, time.Minute
				leader.works(s.home, 5)
				joined := b.joins(s.home)
				time.Sleep(10 * time.Millisecond)
				require.NoError(t, leader.join(s.home))
				require.NoError(t, <-joined)
				require.Len(t, leader.roll, 2, "the first of a group leads it")
				require.Empty(t, b.roll)

				home := meanwhile(s)
				died := time.Now()
				err := patiently(func() error { return b.sync(home) })
				require.ErrorIs(t, err, kerr.RebalanceInProgress)
				require.Less(t, time.Since(died), 2*leader.session+time.Second, "its session, which begins anew where it moves")
				require.NoError(t, patiently(func() error { return b.join(home) }))
				require.Equal(t, []string{b.id}, b.roll, "it leads a group of one")
				require.NoError(t, b.sync(home))
				require.EqualValues(t, 5, b.shows(home))
				require.NoError(t, b.commit(home, b.generation, 9))

				require.ErrorIs(t, leader.sync(home), kerr.UnknownMemberID)
				require.True(t, isOver(leader.commit(home, leader.generation, 7)))
				require.EqualValues(t, 9, b.shows(home))
			})
		})
	}
}
