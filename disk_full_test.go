package brokersim_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
)

// needsRoom are the operations that a full disk refuses.
const needsRoom = vfs.OpCreate | vfs.OpWrite | vfs.OpMkdir

// busy is a topic whose segments are small, so that all kinds of files are written.
func busy(cfg ...string) brokersim.Option {
	return orders(append(cfg, "segment.bytes=4000", "index.interval.bytes=200")...)
}

// fillUp makes a broker's disk full after n more operations that need room; of the first
// write that finds none a few bytes arrive, as on a real disk.
func fillUp(b *brokersim.Broker, n, keep int) (heal func()) {
	return brokersim.FaultsOf(b).Inject(vfs.Fault{Ops: needsRoom, Err: syscall.ENOSPC, After: n, Keep: keep})
}

// seeds is how many random runs there are on each kind of disk.
func seeds(kind string) uint64 {
	switch {
	case testing.Short():
		return 2
	case kind == "files" && !filesToo():
		return 3
	}
	return 18
}

// A disk becomes full in the middle of whatever its broker writes. The broker stops and
// says why, another leads, and nothing that was acked is lost. It cannot start while there
// is no room, or stops again; once there is, it comes back and has everything.
func TestDiskFullAtTheNthWrite(t *testing.T) {
	for _, kind := range diskKinds {
		for seed := range seeds(kind) {
			t.Run(fmt.Sprintf("%s/seed=%d", kind, seed), func(t *testing.T) {
				onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
					rng := rand.New(rand.NewPCG(seed, 1))
					l := startSlowLoad(t, c, "orders")
					full := c.Broker(int32(1 + rng.IntN(3)))
					heal := fillUp(full, rng.IntN(60), rng.IntN(200))
					c.CreateTopic("payments", 2, 3)
					failed(t, c, full, "no space left on device", full.Name())
					c.Must(brokersim.NotInISR("orders", 0, full.ID()))
					acked := c.Partition("orders", 0).HighWatermark
					c.Must(brokersim.Committed("orders", 0, acked+20)) // the others go on

					startWhileFull(t, c, full)
					heal()
					if !full.Process().Up() {
						require.NoError(t, full.Start())
					}
					equalAgain(t, c, l)
					require.Empty(t, electedUncleanly(t, c))
				}, busy())
			})
		}
	}
}

// startWhileFull starts a broker on a disk that has no room.
func startWhileFull(t *testing.T, c *brokertest.C, full *brokersim.Broker) {
	t.Helper()
	if err := full.Start(); err != nil {
		require.ErrorContains(t, err, "start broker "+fmt.Sprint(full.ID()))
		require.ErrorContains(t, err, "no space left on device")
		require.NotContains(t, err.Error(), "\n")
		failed(t, c, full, "no space left on device")
		return
	}
	failed(t, c, full, "no space left on device") // it has to write down that it is registered
}

// Every disk is full at once, as on one machine they would be: nobody can write any more,
// and what was acked is there when there is room again.
func TestAllDisksFull(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		time.Sleep(100 * time.Millisecond)
		for _, b := range c.Brokers() {
			b.Disk().Full()
		}
		for _, n := range c.Coordinator().Nodes() {
			n.Disk().Full()
		}
		for _, b := range c.Brokers() {
			failed(t, c, b, "no space left on device")
		}
		time.Sleep(20 * time.Second)
		for _, n := range c.Coordinator().Nodes() {
			if n.Process() == brokersim.Failed {
				require.Contains(t, fmt.Sprint(c.Snapshot().Quorum.Nodes), "no space left on device")
			}
		}
		c.Heal()
		for _, n := range c.Coordinator().Nodes() {
			if !n.Process().Up() {
				require.NoError(t, n.Start())
			}
		}
		for _, b := range c.Brokers() {
			require.NoError(t, b.Start())
		}
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c), "nothing was lost, and everybody can tell")
	}, busy())
}

// A coordinator node whose disk is full leaves; the others decide. It never acks what it
// has not stored: with two of three full there is no majority, and nothing is decided.
func TestDiskFullOfCoordinatorNodes(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		for round := range 3 { // the active one first, whoever it is
			full := c.Coordinator().Active()
			heal := brokersim.NodeFaultsOf(full).Inject(vfs.Fault{Ops: needsRoom, Err: syscall.ENOSPC, After: round, Keep: 7 * round})
			for i := 0; full.Process().Up(); i++ {
				_ = c.Cluster.CreateTopic(fmt.Sprintf("topic-%d-%d", round, i), 1, 1)
			}
			require.Equal(t, brokersim.Failed, full.Process())
			c.Must(brokersim.ActiveCoordinator())
			c.CreateTopic(fmt.Sprint("after-", round), 1, 1)
			heal()
			require.NoError(t, full.Start())
			c.Must(brokersim.FullISR())
		}
		nodes := c.Coordinator().Nodes()
		nodes[0].Disk().Full()
		nodes[1].Disk().Full()
		for nodes[0].Process().Up() || nodes[1].Process().Up() {
			_ = c.Cluster.CreateTopic("never", 1, 1)
			time.Sleep(10 * time.Second)
		}
		before := c.Snapshot().Offset
		require.Error(t, c.Cluster.CreateTopic("not now", 1, 1))
		require.Equal(t, before, c.Snapshot().Offset)
		c.Heal()
		require.NoError(t, nodes[0].Start())
		require.NoError(t, nodes[1].Start())
		c.Must(brokersim.ActiveCoordinator())
		c.CreateTopic("now", 1, 1)
		equalAgain(t, c, l)
		require.NotZero(t, count(t, c, event.CoordinatorFailed))
	}, busy(), brokersim.SnapshotEvery(16))
}

// A snapshot that finds no room ends its node: Raft would try for ever, and its log grow.
func TestNoRoomForASnapshot(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		node := c.Coordinator().Active()
		heal := brokersim.NodeFaultsOf(node).Inject(vfs.Fault{Ops: needsRoom, Name: "snapshot-*", Err: syscall.ENOSPC})
		for i := 0; node.Process().Up() && i < 200; i++ {
			_ = c.Cluster.CreateTopic(fmt.Sprint("topic-", i), 1, 1)
			time.Sleep(time.Second)
		}
		require.Equal(t, brokersim.Failed, node.Process())
		heal()
		require.NoError(t, node.Start())
		c.Must(brokersim.FullISR())
		produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "a")
	}, orders(), brokersim.SnapshotEvery(16))
}
