package brokersim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// others are all other nodes than this broker, but not the clients.
func others(c *brokertest.C, b *brokersim.Broker) (all []brokersim.End) {
	for _, other := range c.Brokers() {
		if other.ID() != b.ID() {
			all = append(all, brokersim.B(other.ID()))
		}
	}
	for _, n := range c.Coordinator().Nodes() {
		all = append(all, brokersim.Q(n.ID()))
	}
	return all
}

// A leader that can only send, or only receive, is no leader for long. Its clients
// still reach it; what it acks while it does is kept.
func TestOneWayCutsOfALeader(t *testing.T) {
	for name, cut := range map[string]func(c *brokertest.C, b *brokersim.Broker) *brokersim.Fault{
		"sends, does not receive": func(c *brokertest.C, b *brokersim.Broker) *brokersim.Fault {
			return c.Net().OneWay(others(c, b), []brokersim.End{brokersim.B(b.ID())})
		},
		"receives, does not send": func(c *brokertest.C, b *brokersim.Broker) *brokersim.Fault {
			return c.Net().OneWay([]brokersim.End{brokersim.B(b.ID())}, others(c, b))
		},
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
				l := startLoad(t, c, "orders")
				for range 3 {
					old := c.Leader("orders", 0)
					began := time.Now()
					f := cut(c, old)
					require.NoError(t, f.Err())
					c.Must(brokersim.NewLeader("orders", 0, old.ID()))
					// A heartbeat whose answer is lost still tells that the broker lives: it
					// goes on until the broker, not knowing what is decided, counts as silent.
					require.Less(t, time.Since(began), 5*time.Second)
					time.Sleep(2 * time.Second)
					f.Heal()
					c.Must(brokersim.FullISR())
				}
				l.stop()
				require.Empty(t, l.failed)
				require.Empty(t, electedUncleanly(t, c))
				l.kept(t)
			})
		})
	}
}

// A leader that reaches the coordinator but none of its followers keeps the
// leadership, and with min ISR 2 it can commit nothing more: the ISR shrinks to it
// alone and produces are refused, not lost. Healed, all goes on.
func TestLeaderCutFromItsFollowers(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		leader := c.Leader("orders", 0)
		var followers []brokersim.End
		for _, f := range c.Followers("orders", 0) {
			followers = append(followers, brokersim.B(f.ID()))
		}
		cut := c.Net().Cut([]brokersim.End{brokersim.B(leader.ID())}, followers)
		c.Must(brokersim.ISR("orders", 0, leader.ID()))
		p := c.Partition("orders", 0)
		require.Equal(t, leader.ID(), p.Leader)
		require.Len(t, p.ELR, 2, "they have everything that is committed")
		time.Sleep(5 * time.Second)
		require.Equal(t, p.HighWatermark, c.Partition("orders", 0).HighWatermark, "it stands still")
		once := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RecordRetries(0), kgo.DisableIdempotentWrite())
		require.ErrorIs(t, once.ProduceSync(t.Context(), kgo.StringRecord("refused")).FirstErr(), kerr.NotEnoughReplicas)
		cut.Heal()
		c.Must(brokersim.FullISR())
		require.Empty(t, c.Partition("orders", 0).ELR)
		l.stop()
		l.kept(t)
		require.Equal(t, int32(0), c.Partition("orders", 0).LeaderEpoch)
	})
}

// Clients that cannot reach the leader wait; for the cluster all is well.
func TestClientsCutFromTheLeader(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		leader := c.Leader("orders", 0)
		cut := c.Net().Cut([]brokersim.End{brokersim.B(leader.ID())}, []brokersim.End{brokersim.Clients})
		time.Sleep(10 * time.Second)
		c.Must(brokersim.FullISR())
		require.Equal(t, leader.ID(), c.Leader("orders", 0).ID())
		cut.Heal()
		l.stop()
		require.Empty(t, l.failed)
		require.GreaterOrEqual(t, l.slowest, 9*time.Second)
		l.kept(t)
	})
}

// A follower that is cut off costs a moment, then it is out of the ISR; when it is
// back it catches up and joins.
func TestIsolatedFollower(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		leader, lost := c.Leader("orders", 0), c.Followers("orders", 0)[0]
		f := lost.Isolate()
		c.Must(brokersim.NotInISR("orders", 0, lost.ID()))
		time.Sleep(2 * time.Second)
		require.Equal(t, leader.ID(), c.Leader("orders", 0).ID(), "nobody else was hurt")
		f.Heal()
		c.Must(brokersim.FullISR())
		l.stop()
		require.Less(t, l.slowest, 1500*time.Millisecond)
		l.kept(t)
		c.Must(brokersim.Replicated("orders", 0, int64(len(l.acked))))
	})
}

// S27: a leader that was away for longer than its session comes back and believes
// to lead. Nothing that it takes then is acked; it rejoins as a follower.
func TestS27PausedLeaderComesBack(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		for range 3 {
			old := c.Leader("orders", 0)
			epoch := c.Partition("orders", 0).LeaderEpoch
			old.Pause()
			c.Must(brokersim.NewLeader("orders", 0, old.ID()))
			time.Sleep(3 * time.Second)
			old.Resume()
			c.Must(brokersim.FullISR())
			p := c.Partition("orders", 0)
			require.Greater(t, p.LeaderEpoch, epoch)
			r, ok := p.Replica(old.ID())
			require.True(t, ok)
			require.False(t, r.Leads)
			require.Equal(t, p.LeaderEpoch, r.LeaderEpoch)
		}
		l.stop()
		require.Empty(t, l.failed)
		l.kept(t)
	})
}

// The active coordinator sleeps, wakes up and decides nothing; the data path does
// not notice, and no broker is blamed for the time that it slept.
func TestPausedActiveCoordinatorUnderLoad(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		for range 3 {
			active := c.Coordinator().Active()
			active.Pause()
			c.Must(newActive(active.ID()))
			time.Sleep(5 * time.Second)
			active.Resume()
			time.Sleep(5 * time.Second)
			c.Must(brokersim.FullISR())
		}
		l.stop()
		require.Less(t, l.slowest, 50*time.Millisecond)
		l.kept(t)
		require.Zero(t, count(t, c, event.BrokerFenced, event.SessionExpired, event.BrokerGone))
	})
}

// Five coordinator nodes lose two, whichever; with the third the cluster can decide
// nothing, and the data path goes on.
func TestFiveCoordinatorNodesLoseTwo(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Coordinators(5), brokersim.SnapshotEvery(64), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		nodes := c.Coordinator().Nodes()
		first := c.Coordinator().Active()
		require.NoError(t, first.Kill())
		c.Must(newActive(first.ID()))
		second := c.Coordinator().Active()
		require.NoError(t, second.PowerOff())
		c.Must(newActive(second.ID()))

		old := c.Leader("orders", 0)
		require.NoError(t, old.Kill())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		require.NoError(t, old.Start())
		c.Must(brokersim.FullISR())

		third := c.Coordinator().Active()
		require.NoError(t, third.Kill())
		c.Must(brokersim.Not(brokersim.ActiveCoordinator(), "the majority to be gone"))
		before := c.Partition("orders", 0).HighWatermark
		time.Sleep(3 * time.Second)
		require.Greater(t, c.Partition("orders", 0).HighWatermark, before+100, "nobody needs a coordinator to write")
		for _, n := range nodes {
			if !n.Process().Up() {
				require.NoError(t, n.Start())
			}
		}
		c.Must(brokersim.ActiveCoordinator())
		c.Must(brokersim.FullISR())
		l.stop()
		require.Empty(t, l.failed)
		l.kept(t)
	})
}

// One coordinator node alone: while it is gone nothing is decided; it comes back
// with all that it knew.
func TestOneCoordinatorNodeAlone(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Coordinators(1), brokersim.SnapshotEvery(64), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		for _, end := range []func(*brokersim.Node) error{(*brokersim.Node).Kill, (*brokersim.Node).PowerOff} {
			only := c.Coordinator().Node(1)
			require.NoError(t, end(only))
			time.Sleep(3 * time.Second)
			require.NoError(t, only.Start())
			c.Must(brokersim.FullISR())
			time.Sleep(3 * time.Second)
		}
		require.Zero(t, count(t, c, event.BrokerFenced))
		old := c.Leader("orders", 0)
		require.NoError(t, old.Kill())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		require.NoError(t, old.Start())
		c.Must(brokersim.FullISR())
		l.stop()
		require.Empty(t, l.failed)
		l.kept(t)
	})
}

// count is how many events of these kinds there have been.
func count(t testing.TB, c *brokertest.C, kinds ...event.Kind) (n int) {
	last := c.Snapshot().Seq
	for e := range c.Events(t.Context(), 0) {
		if slices.Contains(kinds, e.Kind) {
			n++
		}
		if e.Seq >= last {
			break
		}
	}
	return n
}
