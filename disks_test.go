package brokersim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// A broker that lost its disk refetches everything. Until it has, it is in no ISR
// and leads nothing, even when nobody else is left to.
func TestAnEmptyDiskNeitherLeadsNorJoins(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		time.Sleep(300 * time.Millisecond)
		l.stop()
		acked := int64(len(l.acked))
		empty := c.Leader("orders", 0)
		require.NoError(t, empty.Kill())
		require.NoError(t, empty.Wipe())
		c.Must(brokersim.NewLeader("orders", 0, empty.ID()))

		// It comes back, and can reach the coordinator but not the other brokers.
		var rest []brokersim.End
		for _, b := range c.Brokers() {
			if b.ID() != empty.ID() {
				rest = append(rest, brokersim.B(b.ID()))
			}
		}
		cut := c.Net().Cut([]brokersim.End{brokersim.B(empty.ID())}, rest)
		require.NoError(t, empty.Start())
		c.Must(brokersim.Registered(empty.ID(), brokersim.Unfenced))
		time.Sleep(3 * time.Second)
		p := c.Partition("orders", 0)
		require.NotContains(t, p.ISR, empty.ID())
		require.NotContains(t, p.ELR, empty.ID())

		// The others die: rather nobody leads than the empty one.
		for _, b := range c.Brokers() {
			if b.ID() != empty.ID() {
				require.NoError(t, b.Kill())
			}
		}
		c.Must(brokersim.NoLeader("orders", 0))
		time.Sleep(10 * time.Second)
		require.Equal(t, int32(-1), c.Partition("orders", 0).Leader)
		for _, b := range c.Brokers() {
			if !b.Process().Up() {
				require.NoError(t, b.Start())
			}
		}
		c.Must(brokersim.NewLeader("orders", 0, empty.ID()))
		cut.Heal()

		joined := joining(t, c, empty.ID())
		require.GreaterOrEqual(t, joined.LEO, acked, "it had everything when it joined")
		c.Must(brokersim.FullISR())
		c.Must(brokersim.Replicated("orders", 0, acked))
		require.Empty(t, electedUncleanly(t, c))
		l.kept(t)
	})
}

// joining returns a replica as it is when it is first seen in the ISR.
func joining(t *testing.T, c *brokertest.C, id int32) (r brokersim.ReplicaState) {
	c.Must(brokersim.InISR("orders", 0, id))
	r, ok := c.Partition("orders", 0).Replica(id)
	require.True(t, ok)
	return r
}

// All brokers lose power at once, with nothing synced. The last known leader leads
// what it still has; that it may have lost something is said aloud, and all
// replicas agree afterwards. A topic that syncs before it acks loses nothing.
func TestPowerFailureOfAllBrokers(t *testing.T) {
	for name, safe := range map[string]bool{"unsynced": false, "flush.messages=1": true} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				configs := []string{"min.insync.replicas=2"}
				if safe {
					configs = append(configs, name)
				}
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, configs...))
				l := startLoad(t, c, "orders")
				time.Sleep(300 * time.Millisecond)
				l.stop()
				for _, b := range c.Brokers() {
					require.NoError(t, b.PowerOff())
				}
				c.Must(brokersim.NoLeader("orders", 0))
				for _, b := range c.Brokers() {
					require.NoError(t, b.Start())
				}
				c.Must(brokersim.FullISR())
				require.NotEmpty(t, electedUncleanly(t, c), "a possible loss is reported")
				if safe {
					l.kept(t)
				} else {
					end := c.Partition("orders", 0).Replicas[0].LEO
					require.LessOrEqual(t, end, int64(len(l.acked)))
					c.Must(brokersim.Replicated("orders", 0, end))
					if end > 0 {
						require.Equal(t, l.acked[:end], consume(t, c, "orders", int(end)), "what is left is the beginning")
					}
				}
				produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "after")
			})
		})
	}
}

// One lost power of three is as many as min ISR 2 survives: whoever has
// everything that was acked leads, though the others come back first.
func TestS17ELRElectionAfterTwoPowerLosses(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		time.Sleep(100 * time.Millisecond)
		leader, followers := c.Leader("orders", 0), c.Followers("orders", 0)
		first, second := followers[0], followers[1]
		require.NoError(t, first.PowerOff()) // it loses what it had, and is behind anyway
		c.Must(brokersim.NotInISR("orders", 0, first.ID()))
		time.Sleep(100 * time.Millisecond)
		l.stop()
		require.NoError(t, second.Kill()) // it keeps what it wrote
		c.Must(brokersim.ISR("orders", 0, leader.ID()))
		require.Equal(t, []int32{second.ID()}, c.Partition("orders", 0).ELR)
		require.NoError(t, leader.PowerOff())
		c.Must(brokersim.NoLeader("orders", 0))

		require.NoError(t, leader.Start()) // the last one that led, and it lost everything
		require.NoError(t, first.Start())
		c.Must(brokersim.Registered(leader.ID(), brokersim.Unfenced))
		c.Must(brokersim.Registered(first.ID(), brokersim.Unfenced))
		time.Sleep(5 * time.Second)
		p := c.Partition("orders", 0)
		require.Equal(t, int32(-1), p.Leader, "neither may lead")
		require.Equal(t, []int32{second.ID()}, p.ELR)

		require.NoError(t, second.Start())
		c.Must(brokersim.LedBy("orders", 0, second.ID()))
		c.Must(brokersim.FullISR())
		require.Empty(t, electedUncleanly(t, c))
		l.kept(t)
	})
}

// The only replica loses power, and with it its claim to have everything. Nobody
// else has more, so it leads again what it has left, and the election says so.
func TestLastKnownLeader(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 1))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a")
		only := c.Leader("orders", 0)
		require.NoError(t, only.PowerOff())
		c.Must(brokersim.NoLeader("orders", 0))
		require.Equal(t, only.ID(), c.Partition("orders", 0).LastKnownLeader)
		require.NoError(t, only.Start())
		c.Must(brokersim.LedBy("orders", 0, only.ID()))
		lossy := electedUncleanly(t, c)
		require.Len(t, lossy, 1)
		require.Contains(t, lossy[0].Data["why"], "last known leader")
		require.Contains(t, event.Narrate(lossy[0]), "lost")
		state := c.Partition("orders", 0)
		require.Equal(t, int32(-1), state.LastKnownLeader)
		require.Equal(t, []int32{only.ID()}, state.ISR)
	})
}

// With unclean.leader.election.enable a replica that is behind may lead when nobody
// else can. What is lost by that is reported by the election.
func TestUncleanElectionWhenEnabled(t *testing.T) {
	for name, config := range map[string][]string{"off": nil, "on": {"unclean.leader.election.enable=true"}} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 2, config...))
				p := client(t, c, kgo.DefaultProduceTopic("orders"))
				produce(t, p, "both")
				c.Must(brokersim.Replicated("orders", 0, 1))
				leader, behind := c.Leader("orders", 0), c.Followers("orders", 0)[0]
				require.NoError(t, behind.Kill())
				c.Must(brokersim.ISR("orders", 0, leader.ID()))
				produce(t, p, "leader only")
				require.NoError(t, leader.Kill())
				c.Must(brokersim.NoLeader("orders", 0))
				require.NoError(t, behind.Start())
				if config == nil {
					time.Sleep(10 * time.Second)
					c.Must(brokersim.NoLeader("orders", 0))
					// Whoever asks for it gets it all the same.
					res, err := kadm.NewClient(p).ElectLeaders(t.Context(), kadm.ElectLiveReplica, nil)
					require.NoError(t, err)
					require.NoError(t, res["orders"][0].Err)
				}
				c.Must(brokersim.LedBy("orders", 0, behind.ID()))
				lossy := electedUncleanly(t, c)
				require.Len(t, lossy, 1)
				require.EqualValues(t, behind.ID(), lossy[0].Data["leader"])
				require.Contains(t, event.Narrate(lossy[0]), "lost")

				require.NoError(t, leader.Start())
				c.Must(brokersim.FullISR())
				require.False(t, c.Partition("orders", 0).Recovering)
				produce(t, p, "anew")
				c.Must(brokersim.Replicated("orders", 0, 2))
				require.Equal(t, []string{"both", "anew"}, consume(t, c, "orders", 2))
				require.NotZero(t, count(t, c, event.LogTruncated), "the old leader gave up what was lost")
			})
		})
	}
}

// A broker that was away for hundreds of decisions is fed by snapshot, and so is a
// coordinator node.
func TestFarBehindNodesAreFedBySnapshot(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.SnapshotEvery(64), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		away, node := c.Broker(3), c.Coordinator().Nodes()[2]
		require.NoError(t, away.Kill())
		require.NoError(t, node.Kill())
		c.Must(brokersim.ActiveCoordinator())
		admin := kadm.NewClient(client(t, c))
		for i := range 100 {
			name := "topic-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			made, err := admin.CreateTopic(t.Context(), 3, 1, nil, name)
			require.NoError(t, err)
			require.NoError(t, made.Err)
			if i%2 == 0 {
				_, err = admin.DeleteTopic(t.Context(), name)
				require.NoError(t, err)
			}
		}
		time.Sleep(5 * time.Second)                 // snapshots are taken
		for _, n := range c.Coordinator().Nodes() { // what they had in memory is gone, too
			if n.Process().Up() {
				require.NoError(t, n.Kill())
				require.NoError(t, n.Start())
				c.Must(brokersim.ActiveCoordinator())
			}
		}
		var snapshots []func() int64
		for _, n := range c.Coordinator().Nodes() {
			asked, stop := brokersim.CountRequests(c.Cluster, brokersim.B(away.ID()), brokersim.Q(n.ID()), kmsg.FetchSnapshot.Int16())
			defer stop()
			snapshots = append(snapshots, asked.Load)
		}
		require.NoError(t, away.Start())
		require.NoError(t, node.Start())
		c.Must(brokersim.FullISR())
		require.Positive(t, snapshots[0]()+snapshots[1]()+snapshots[2](), "it asked for the whole image")
		c.Must(func(s brokersim.Snapshot) (bool, string) {
			b, _ := s.Broker(away.ID())
			i := slices.IndexFunc(s.Quorum.Nodes, func(n brokersim.NodeState) bool { return n.Name == node.Name() })
			return b.Offset == s.Offset && s.Quorum.Nodes[i].Offset == s.Offset, "everybody to know everything"
		})
		l.stop()
		require.Empty(t, l.failed)
		l.kept(t)
		require.Len(t, c.Snapshot().Partitions, 1+50*3)
	})
}

// S33: a topic is deleted and made anew under the same name while a broker is down.
// What that broker has on its disk is another topic's, and nobody reads it.
func TestS33RecreatedTopicIsAnotherTopic(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "old-1", "old-2", "old-3")
		c.Must(brokersim.Replicated("orders", 0, 3))
		away := c.Leader("orders", 0)
		require.NoError(t, away.Kill())
		c.Must(brokersim.NewLeader("orders", 0, away.ID()))
		admin := kadm.NewClient(client(t, c))
		_, err := admin.DeleteTopic(t.Context(), "orders")
		require.NoError(t, err)
		c.Must(func(s brokersim.Snapshot) (bool, string) { return len(s.Partitions) == 0, "the topic to be gone" })
		made, err := admin.CreateTopic(t.Context(), 1, 3, nil, "orders")
		require.NoError(t, err)
		require.NoError(t, made.Err)
		fresh := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, fresh, "new-1")
		require.NoError(t, away.Start())
		c.Must(brokersim.FullISR())
		c.Must(brokersim.Replicated("orders", 0, 1))
		require.Equal(t, []string{"new-1"}, consume(t, c, "orders", 1))
		r, ok := c.Partition("orders", 0).Replica(away.ID())
		require.True(t, ok)
		require.Equal(t, int64(1), r.LEO, "three old orders are no part of it")
		require.Zero(t, count(t, c, event.LogTruncated), "it was not cut but taken away")
	})
}
