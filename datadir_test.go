package brokersim_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// values are n different ones.
func values(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%d", prefix, i))
	}
	return all
}

// orders is a topic as most of these tests want it.
func orders(cfg ...string) brokersim.Option {
	return brokersim.Topic("orders", 1, 3, append(cfg, "min.insync.replicas=2")...)
}

// once runs f on the cluster in a directory, which is closed when f has returned.
func once(t *testing.T, dir string, f func(t *testing.T, c *brokertest.C), opts ...brokersim.Option) {
	t.Helper()
	ok := t.Run("", func(t *testing.T) {
		f(t, brokertest.Start(t, append([]brokersim.Option{brokersim.DataDir(dir)}, opts...)...))
	})
	require.True(t, ok)
}

func TestADirectoryIsContinued(t *testing.T) {
	dir := t.TempDir()
	var want []string
	var before brokersim.Snapshot
	for round := range 3 {
		once(t, dir, func(t *testing.T, c *brokertest.C) {
			now := c.Snapshot()
			require.Len(t, now.Partitions[0].ISR, 3)
			if round > 0 {
				require.Equal(t, before.Partitions[0].HighWatermark, now.Partitions[0].HighWatermark)
				require.Equal(t, before.Partitions[0].Assigned, now.Partitions[0].Assigned)
				require.Greater(t, now.Offset, before.Offset)
				for i := range now.Brokers {
					require.Greater(t, now.Brokers[i].Epoch, before.Brokers[i].Epoch)
				}
				for _, e := range told(t, c) {
					require.NotEqual(t, event.TopicCreated, e.Kind, "what happened before is no news")
					require.NotEqual(t, true, e.Data["unclean"], "%v", e)
				}
			}
			p := client(t, c, kgo.DefaultProduceTopic("orders"))
			more := values(fmt.Sprint(round), 10)
			produce(t, p, more...)
			want = append(want, more...)
			require.Equal(t, want, consume(t, c, "orders", len(want)))
			before = c.Snapshot()
		}, orders())
	}
}

// told is every event so far.
func told(t *testing.T, c *brokertest.C) (all []brokersim.Event) {
	t.Helper()
	last := c.Snapshot().Seq
	for e := range c.Events(t.Context(), 0) {
		if all = append(all, e); e.Seq >= last {
			break
		}
	}
	return all
}

// A topic that exists must be as the option says.
func TestTopicsOfAContinuedCluster(t *testing.T) {
	dir := t.TempDir()
	once(t, dir, func(*testing.T, *brokertest.C) {}, orders())
	once(t, dir, func(t *testing.T, c *brokertest.C) {
		require.Len(t, c.Snapshot().Partitions, 3, "orders is there, payments is made")
	}, orders(), brokersim.Topic("payments", 2, 1))
	for _, wrong := range []struct {
		topic brokersim.Option
		says  string
	}{
		{brokersim.Topic("orders", 2, 3), "with 1 partitions and 3 replicas"},
		{brokersim.Topic("orders", 1, 2), "with 1 partitions and 3 replicas"},
		{brokersim.Topic("orders", 1, 3, "flush.messages=1"), "without flush.messages=1"},
	} {
		_, err := brokersim.New(t.Context(), brokersim.DataDir(dir), wrong.topic)
		require.ErrorContains(t, err, wrong.says)
		require.ErrorContains(t, err, dir)
	}
	once(t, dir, func(t *testing.T, c *brokertest.C) { c.Must(brokersim.FullISR()) })
}

// Everybody is killed, and everybody started again: nothing that was acknowledged is
// lost, and nobody has to guess who had it.
func TestWholeClusterKilledOnDisk(t *testing.T) {
	c := brokertest.Start(t, brokersim.DataDir(t.TempDir()), orders())
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	want := values("before", 20)
	produce(t, p, want...)
	everybody(func(b *brokersim.Broker) { b.Kill() }, func(n *brokersim.Node) { n.Kill() })(c.Cluster)
	startAll(t, c)
	produce(t, p, "after")
	require.Equal(t, append(want, "after"), consume(t, c, "orders", len(want)+1))
	for _, e := range told(t, c) {
		require.NotEqual(t, true, e.Data["unclean"], "%v", e)
	}
}

func startAll(t *testing.T, c *brokertest.C) {
	t.Helper()
	for _, n := range c.Coordinator().Nodes() {
		require.NoError(t, n.Start())
	}
	for _, b := range c.Brokers() {
		require.NoError(t, b.Start())
	}
	c.Must(brokersim.ActiveCoordinator())
	c.Must(brokersim.HasLeader("orders", 0))
	c.Must(brokersim.FullISR())
}

// Power goes everywhere at once: what was synced is there, and nothing else was promised.
func TestWholeClusterLosesPowerOnDisk(t *testing.T) {
	for name, synced := range map[string]bool{"flush.messages=1": true, "flush.messages=9223372036854775807": false} {
		t.Run(name, func(t *testing.T) {
			c := brokertest.Start(t, brokersim.DataDir(t.TempDir()), orders(name))
			p := client(t, c, kgo.DefaultProduceTopic("orders"))
			want := values("before", 20)
			produce(t, p, want...)
			everybody(func(b *brokersim.Broker) { b.PowerOff() }, func(n *brokersim.Node) { n.PowerOff() })(c.Cluster)
			startAll(t, c)
			if !synced {
				require.Zero(t, c.Partition("orders", 0).HighWatermark, "the worst case: the disk had kept nothing yet")
				want = nil
			}
			after := client(t, c, kgo.DefaultProduceTopic("orders"))
			produce(t, after, "after")
			require.Equal(t, append(want, "after"), consume(t, c, "orders", len(want)+1))
		})
	}
}

// The ways to lose one broker, on real files; wiped ones also across a restart of all.
func TestWaysToLoseABrokerOnDisk(t *testing.T) {
	dir := t.TempDir()
	var want []string
	brokertest.Virtual(t, func(t *testing.T) { // a client waits long for a broker without power
		c := brokertest.Start(t, brokersim.DataDir(dir), orders())
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		for i, lose := range []func(*brokersim.Broker) error{(*brokersim.Broker).Kill, (*brokersim.Broker).PowerOff, (*brokersim.Broker).Stop} {
			more := values(fmt.Sprint("round ", i), 5)
			produce(t, p, more[:3]...)
			old := c.Leader("orders", 0)
			require.NoError(t, lose(old))
			c.Must(brokersim.NewLeader("orders", 0, old.ID()))
			produce(t, p, more[3:]...)
			want = append(want, more...)
			if i == 1 {
				require.NoError(t, old.Wipe())
			}
			require.NoError(t, old.Start())
			c.Must(brokersim.FullISR())
			c.Must(brokersim.Replicated("orders", 0, int64(len(want))))
		}
		require.NoError(t, c.Broker(2).Kill())
		require.NoError(t, c.Broker(2).Wipe())
	})
	once(t, dir, func(t *testing.T, c *brokertest.C) {
		require.Equal(t, want, consume(t, c, "orders", len(want)))
	}, orders())
}

// A coordinator node that lost power has lost nothing: its database syncs by itself.
func TestCoordinatorNodesOnDisk(t *testing.T) {
	dir := t.TempDir()
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.DataDir(dir), orders(), brokersim.SnapshotEvery(16))
		for round := range 2 {
			active := c.Coordinator().Active()
			require.NoError(t, active.Kill())
			c.Must(brokersim.ActiveCoordinator())
			for i := range 10 {
				c.CreateTopic(fmt.Sprintf("topic-%d-%d", round, i), 1, 1)
			}
			require.NoError(t, active.Start())
			other := c.Coordinator().Node(active.ID()%3 + 1)
			require.NoError(t, other.PowerOff())
			c.Must(brokersim.ActiveCoordinator())
			require.NoError(t, other.Start())
		}
		require.Len(t, c.Snapshot().Partitions, 21)
	})
}

// A disk of real files can be as ill as one in memory.
func TestIllDisksOnDisk(t *testing.T) {
	c := brokertest.Start(t, brokersim.DataDir(t.TempDir()), orders())
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	produce(t, p, "a")
	old := c.Leader("orders", 0)
	slow := old.Disk().Slow(50*time.Millisecond, 0)
	began := time.Now()
	produce(t, p, "b")
	require.Greater(t, time.Since(began), 50*time.Millisecond)
	slow.Heal()

	full := old.Disk().Full()
	produce(t, p, "c")
	require.NotEqual(t, old.ID(), c.Leader("orders", 0).ID())
	full.Heal()
	require.NoError(t, old.Start())
	c.Must(brokersim.FullISR())

	next := c.Leader("orders", 0)
	failing := next.Disk().Fail(syscall.EIO)
	produce(t, p, "d")
	failing.Heal()
	require.NoError(t, next.Start())
	c.Must(brokersim.FullISR())
	require.Equal(t, []string{"a", "b", "c", "d"}, consume(t, c, "orders", 4))
}

// In virtual time real files work as well.
func TestVirtualTimeOnDisk(t *testing.T) {
	dir := t.TempDir()
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.DataDir(dir), orders())
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a")
		old := c.Leader("orders", 0)
		require.NoError(t, old.PowerOff())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		produce(t, p, "b")
		require.NoError(t, old.Start())
		c.Must(brokersim.FullISR())
		time.Sleep(10 * time.Minute)
		require.Equal(t, []string{"a", "b"}, consume(t, c, "orders", 2))
	})
}
