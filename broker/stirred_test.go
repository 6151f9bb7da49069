package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever looks at what has happened misses nothing, and hears of nothing twice.
func TestStirred(t *testing.T) {
	var s stirred
	turns, something := s.since(0)
	require.False(t, something)
	one, two := new(hosted), new(hosted)
	s.add(one)
	turns, something = s.since(turns)
	require.True(t, something)
	turns, something = s.since(turns)
	require.True(t, something, "it may stir on until it is ticked, and says so only once")
	require.Equal(t, []*hosted{one}, s.take())
	turns, something = s.since(turns)
	require.True(t, something, "what it did before it was ticked")
	turns, something = s.since(turns)
	require.False(t, something)
	s.add(two)
	require.Equal(t, []*hosted{two}, s.take())
	require.Empty(t, s.take())
	turns, something = s.since(turns)
	require.True(t, something)
	_, something = s.since(turns)
	require.False(t, something)
}

// An idle broker has no replica to look at; one that was written to is looked at until
// everybody has what was written, and its tail is given back in the round after that.
func TestIdleReplicasAreLeftAlone(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 20, 3)
		c.eventually("everything is quiet", func() bool { return c.stirring() == 0 })
		b := c.leader("orders", 7)
		c.write(b, "orders", 7, "one")
		require.Positive(t, c.stirring())
		c.eventually("it is quiet again", func() bool { return c.stirring() == 0 })

		// A follower that cannot fetch is still noticed in time.
		var follower int32 = 1
		if b.ID() == 1 {
			follower = 2
		}
		heal := c.net.Cut([]string{c.brokers[follower].host.Name()}, []string{c.brokers[b.ID()].host.Name()})
		defer heal()
		time.Sleep(time.Second)
		c.write(b, "orders", 7, "two")
		began := time.Now()
		c.eventually("the follower has left the ISR", func() bool {
			return len(c.state(b, "orders", 7).ISR) == 2
		})
		require.Less(t, time.Since(began), 2*c.configs.ReplicaLagTimeMax)
	})
}

// stirring is how many replicas wait to be ticked.
func (c *cluster) stirring() (n int) {
	for _, b := range c.live() {
		s := &b.replicas.stirred
		s.mu.Lock()
		n += len(s.list)
		s.mu.Unlock()
	}
	return n
}

// A replica whose cue was lost is ticked with all others, in a minute at the latest.
func TestALostCueIsMadeUpFor(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 3)
		time.Sleep(2 * c.configs.ReplicaLagTimeMax)
		c.eventually("everything is quiet", func() bool { return c.stirring() == 0 })
		b := c.leader("orders", 0)
		follower := int32(1)
		if b.ID() == 1 {
			follower = 2
		}
		heal := c.net.Cut([]string{c.brokers[follower].host.Name()}, []string{c.brokers[b.ID()].host.Name()})
		defer heal()
		_, err := c.replica(b, "orders", 0).Append(t.Context(), oneRecord("one"), 1, time.Now())
		require.NoError(t, err)
		require.NotEmpty(t, b.replicas.stirred.take(), "lost: it says so only once until it is ticked")
		time.Sleep(2 * c.configs.ReplicaLagTimeMax)
		require.Len(t, c.state(b, "orders", 0).ISR, 3, "nobody has looked")
		time.Sleep(sweepEvery)
		c.eventually("the follower has left the ISR", func() bool { return len(c.state(b, "orders", 0).ISR) == 2 })
	})
}
