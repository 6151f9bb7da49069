package brokersim_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
)

// A disk fails at the n-th operation of some kind, once or from then on: with an error, or
// with half of what was to be written. The broker goes down at the first failure, however
// well the disk does afterwards; another leads; nobody was told too much.
func TestDiskFailsAtTheNthOperation(t *testing.T) {
	ops := map[string]struct {
		op   vfs.Op
		most int // to go well before
	}{
		"write": {vfs.OpWrite, 25}, "sync": {vfs.OpSync, 25}, "sync of names": {vfs.OpSyncDir, 4}, "create": {vfs.OpCreate, 10},
		"rename": {vfs.OpRename, 1}, "anything": {vfs.AnyOp &^ (vfs.OpRemove | vfs.OpList), 50},
	}
	for _, kind := range diskKinds {
		for name, o := range ops {
			for seed := range max(1, seeds(kind)/6) {
				t.Run(fmt.Sprintf("%s/%s/seed=%d", kind, name, seed), func(t *testing.T) {
					onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
						rng := rand.New(rand.NewPCG(seed, uint64(o.op)))
						l := startSlowLoad(t, c, "orders")
						bad := c.Broker(int32(1 + rng.IntN(3)))
						brokersim.FaultsOf(bad).Inject(vfs.Fault{
							Ops: o.op, Err: syscall.EIO, After: rng.IntN(o.most), Times: rng.IntN(2), Keep: rng.IntN(100),
						})
						failed(t, c, bad, "input/output error", bad.Name())
						c.Must(brokersim.NotInISR("orders", 0, bad.ID()))
						brokersim.FaultsOf(bad).HealAll()
						require.NoError(t, bad.Start())
						equalAgain(t, c, l)
						require.Empty(t, electedUncleanly(t, c))
					}, busy("flush.messages=1"))
				})
			}
		}
	}
}

// A sync that failed is never tried again, and what it was to save does not count any
// more: the broker comes back without a claim to be what it was, though its disk has lost
// nothing that it knows of.
func TestAFailedSyncIsNotRepeated(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		bad := c.Leader("orders", 0)
		epoch := brokerState(t, c, bad).Epoch
		brokersim.FaultsOf(bad).Inject(vfs.Fault{Ops: vfs.OpSync, Name: "*.log", Err: syscall.EIO, Times: 1})
		failed(t, c, bad, "sync", "input/output error")
		require.NoError(t, bad.Start())
		equalAgain(t, c, l)
		returns := registered(t, c, bad, epoch)
		require.Equal(t, false, returns.Data["clean"], "what was not synced may be gone")
		require.Empty(t, electedUncleanly(t, c))
	}, busy("flush.messages=1"))
}

// The same when the disk has no room to note it.
func TestAFailedSyncOnAFullDisk(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		bad := c.Leader("orders", 0)
		epoch := brokerState(t, c, bad).Epoch
		brokersim.FaultsOf(bad).Inject(vfs.Fault{Ops: vfs.OpSync, Name: "*.log", Err: syscall.EIO, Times: 1})
		full := noRoomFor(bad, "broker-epoch*")
		failed(t, c, bad, "sync", "input/output error")
		full()
		require.NoError(t, bad.Start())
		equalAgain(t, c, l)
		require.Equal(t, false, registered(t, c, bad, epoch).Data["clean"])
	}, busy("flush.messages=1"))
}

// registered is the first registration of a broker behind a broker epoch.
func registered(t *testing.T, c *brokertest.C, b *brokersim.Broker, after int64) (first brokersim.Event) {
	t.Helper()
	for _, e := range told(t, c) {
		if e.Kind == event.BrokerRegistered && e.Data["broker"] == b.ID() && e.Data["epoch"].(int64) > after {
			return e
		}
	}
	require.FailNow(t, "it did not register")
	return first
}

// A disk that cannot be read takes its broker down. The client hears of the next leader and
// reads on without a gap.
func TestReadsThatFail(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		time.Sleep(15 * time.Second) // until the oldest records are not in memory any more
		bad := c.Leader("orders", 0)
		heal := brokersim.FaultsOf(bad).Fail(vfs.OpRead, "*.log", syscall.EIO)
		n := int(c.Partition("orders", 0).HighWatermark)
		read := consume(t, c, "orders", n)
		failed(t, c, bad, "read", "input/output error")
		l.stop()
		require.Equal(t, l.acked[:n], read[:n])
		require.ErrorContains(t, bad.Start(), "input/output error")
		heal()
		require.NoError(t, bad.Start())
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c))
	}, busy())
}

// A slow disk makes everybody wait and nobody lose anything; heartbeats need no disk, so
// nobody is fenced.
func TestASlowSyncLosesNothing(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startLoad(t, c, "orders")
		leader := c.Leader("orders", 0)
		slow := leader.Disk().Slow(0, 300*time.Millisecond)
		began := c.Partition("orders", 0).HighWatermark
		time.Sleep(10 * time.Second)
		c.Must(brokersim.Committed("orders", 0, began+5))
		require.Equal(t, leader.ID(), c.Leader("orders", 0).ID())
		slow.Heal()
		time.Sleep(time.Second)
		equalAgain(t, c, l)
		require.GreaterOrEqual(t, l.slowest, 300*time.Millisecond) // a sync that is shared is waited for once
		require.Zero(t, count(t, c, event.BrokerFenced))
		require.Zero(t, count(t, c, event.ISRShrunk))
	}, busy("flush.messages=1"))
}
