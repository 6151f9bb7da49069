package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// effectsOnReplicas are how replicas agree, and who leads them.
var effectsOnReplicas = []effect{
	{
		config: "min.insync.replicas", value: "2", brokers: 2, rf: 2, without: "", with: "NOT_ENOUGH_REPLICAS",
		look: func(t *testing.T, c *brokertest.C) any {
			follower := c.Followers("orders", 0)[0]
			require.NoError(t, write(t, c, kgo.StringRecord("both have it")))
			require.NoError(t, follower.Kill())
			c.Must(brokersim.NotInISR("orders", 0, follower.ID()))
			return refusal(write(t, c, kgo.StringRecord("x")))
		},
	},
	{
		config: "unclean.leader.election.enable", value: "true", brokers: 2, rf: 2, without: "nobody leads", with: "who lacks a record leads",
		look: func(t *testing.T, c *brokertest.C) any {
			leader, follower := c.Leader("orders", 0), c.Followers("orders", 0)[0]
			require.NoError(t, follower.Kill())
			c.Must(brokersim.NotInISR("orders", 0, follower.ID()))
			require.NoError(t, write(t, c, kgo.StringRecord("only the leader has it")))
			require.NoError(t, leader.Kill())
			c.Must(brokersim.NoLeader("orders", 0))
			require.NoError(t, follower.Start())
			c.Must(brokersim.Registered(follower.ID(), brokersim.Unfenced))
			time.Sleep(10 * time.Second)
			return map[int32]string{-1: "nobody leads", follower.ID(): "who lacks a record leads"}[c.Partition("orders", 0).Leader]
		},
	},
	{
		config: "replica.lag.time.max.ms", value: "20000", brokers: 2, rf: 2, without: "left", with: "still in",
		look: func(t *testing.T, c *brokertest.C) any {
			follower := c.Followers("orders", 0)[0]
			follower.Disk().Slow(time.Hour, 0)
			cl := client(t, c, kgo.DefaultProduceTopic("orders"))
			cl.Produce(t.Context(), kgo.StringRecord("x"), nil)
			time.Sleep(10 * time.Second)
			if len(c.Partition("orders", 0).ISR) == 2 {
				return "still in"
			}
			return "left"
		},
	},
	{
		config: "replica.fetch.wait.max.ms", value: "100", brokers: 2, rf: 2, without: 20, with: 100,
		look: func(t *testing.T, c *brokertest.C) any {
			follower, leader := c.Followers("orders", 0)[0], c.Leader("orders", 0)
			time.Sleep(1050 * time.Millisecond) // between two of them
			return counted(c, brokersim.B(follower.ID()), brokersim.B(leader.ID()), kmsg.Fetch, func() { time.Sleep(10 * time.Second) })
		},
	},
	{
		config: "replica.fetch.max.bytes", value: "1", brokers: 2, rf: 2, without: "several batches a fetch", with: "one batch a fetch",
		look: func(t *testing.T, c *brokertest.C) any {
			follower, leader := c.Followers("orders", 0)[0], c.Leader("orders", 0)
			require.NoError(t, follower.Kill())
			c.Must(brokersim.NotInISR("orders", 0, follower.ID()))
			tenBatches(t, c)
			fetches := counted(c, brokersim.B(follower.ID()), brokersim.B(leader.ID()), kmsg.Fetch, func() {
				require.NoError(t, follower.Start())
				c.Must(brokersim.Replicated("orders", 0, 10))
			})
			if fetches < 10 {
				return "several batches a fetch"
			}
			return "one batch a fetch"
		},
	},
	{
		config: "auto.leader.rebalance.enable", value: "false", brokers: 2, rf: 2, without: preferred, with: other,
		look: func(t *testing.T, c *brokertest.C) any { return leaderAfterReturn(t, c, 10*time.Minute) },
	},
	{
		config: "leader.imbalance.check.interval.seconds", value: "10", brokers: 2, rf: 2, without: other, with: preferred,
		look: func(t *testing.T, c *brokertest.C) any { return leaderAfterReturn(t, c, 15*time.Second) },
	},
	{
		config: "leader.imbalance.per.broker.percentage", value: "100", brokers: 2, rf: 2, without: preferred, with: other,
		look: func(t *testing.T, c *brokertest.C) any { return leaderAfterReturn(t, c, 10*time.Minute) },
	},
}

const preferred, other = "the preferred leader", "the other"

// leaderAfterReturn kills the preferred leader, starts it again, and says who
// leads a while after it is back in sync.
func leaderAfterReturn(t *testing.T, c *brokertest.C, while time.Duration) string {
	t.Helper()
	first := c.Leader("orders", 0)
	require.Equal(t, c.Partition("orders", 0).Assigned[0], first.ID())
	require.NoError(t, first.Kill())
	c.Must(brokersim.NewLeader("orders", 0, first.ID()))
	require.NoError(t, first.Start())
	c.Must(brokersim.FullISR())
	time.Sleep(while)
	if c.Leader("orders", 0).ID() == first.ID() {
		return preferred
	}
	return other
}

// counted is how many requests go from one end to another meanwhile.
func counted(c *brokertest.C, from, to brokersim.End, key kmsg.Key, meanwhile func()) int {
	n, stop := brokersim.CountRequests(c.Cluster, from, to, int16(key))
	defer stop()
	meanwhile()
	return int(n.Load())
}
