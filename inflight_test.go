package brokersim_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// changes are the operations that change a disk.
var changes = map[string]vfs.Op{
	"write": vfs.OpWrite, "sync": vfs.OpSync, "rename": vfs.OpRename, "create": vfs.OpCreate, "sync of names": vfs.OpSyncDir, "truncate": vfs.OpTruncate,
}

// spied restarts a broker on a disk that is watched.
func spied(t *testing.T, c *brokertest.C, b *brokersim.Broker) (s *spy) {
	t.Helper()
	require.NoError(t, b.Kill())
	c.Must(brokersim.NotInISR("orders", 0, b.ID()))
	var raw brokersim.RawDisk
	brokersim.WrapDisk(b, func(d brokersim.RawDisk) brokersim.RawDisk {
		raw, s = d, &spy{RawDisk: d}
		return s
	})
	require.NoError(t, b.Start())
	brokersim.WrapDisk(b, func(brokersim.RawDisk) brokersim.RawDisk { return raw }) // for the next incarnation
	c.Must(brokersim.FullISR())
	return s
}

// provoke makes a broker do the operation, if the load alone does not: to truncate, it has
// to have led and written what nobody has fetched.
func provoke(t *testing.T, c *brokertest.C, b *brokersim.Broker, op vfs.Op) {
	t.Helper()
	if op != vfs.OpTruncate {
		return
	}
	if c.Leader("orders", 0) != b {
		for _, other := range c.Brokers() {
			if other != b {
				require.NoError(t, other.Kill())
			}
		}
		c.Must(brokersim.LedBy("orders", 0, b.ID()))
		for _, other := range c.Brokers() {
			if other != b {
				require.NoError(t, other.Start())
			}
		}
		c.Must(brokersim.FullISR())
	}
	p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	require.NoError(t, p.Ping(t.Context()))
	cut := b.Isolate()
	produce(t, p, "only the zombie has this") // it is lost, as acks=1 allows
	c.Must(brokersim.NewLeader("orders", 0, b.ID()))
	cut.Heal()
}

// A broker is killed while it is inside of a disk call, and started again at once. Then the
// call is let go. It reaches the disk of no later incarnation.
func TestInFlightWhenABrokerIsKilled(t *testing.T) {
	for name, op := range changes {
		for _, kind := range diskKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
					l := startSlowLoad(t, c, "orders")
					b := c.Leader("orders", 0)
					s := spied(t, c, b)
					held, release := brokersim.FaultsOf(b).Hold(op, "")
					defer release()
					provoke(t, c, b, op)
					<-held
					require.NoError(t, b.Kill(), "it does not wait for what is slow")
					s.ended.Store(true)
					release()
					require.NoError(t, b.Start())
					time.Sleep(time.Second)
					equalAgain(t, c, l)
					require.Zero(t, s.late.Load())
					require.Empty(t, electedUncleanly(t, c))
				}, busy("flush.messages=3"))
			})
		}
	}
}

// What is inside of the kernel cannot be called back: then the end of the incarnation waits
// until it is gone, and so does the next start.
func TestInsideOfTheKernelWhenABrokerEnds(t *testing.T) {
	for end, lose := range map[string]func(*brokersim.Broker) error{"kill": (*brokersim.Broker).Kill, "power off": (*brokersim.Broker).PowerOff} {
		for name, op := range changes {
			for i, kind := range diskKinds {
				if (i == 0) == (end == "kill") {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", end, name, kind), func(t *testing.T) {
					onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
						l := startSlowLoad(t, c, "orders")
						b := c.Leader("orders", 0)
						s, inside := spied(t, c, b), newStall(op)
						s.stall.Store(inside)
						provoke(t, c, b, op)
						<-inside.held
						ended, started := make(chan error, 1), make(chan error, 1)
						go func() {
							ended <- lose(b)
							s.ended.Store(true)
						}()
						time.Sleep(time.Second)
						go func() { started <- b.Start() }()
						time.Sleep(time.Second)
						require.Empty(t, ended)
						require.Empty(t, started)
						close(inside.release)
						require.NoError(t, <-ended)
						require.NoError(t, <-started)
						equalAgain(t, c, l)
						require.Zero(t, s.late.Load())
						require.Empty(t, electedUncleanly(t, c))
					}, busy("flush.messages=3"))
				})
			}
		}
	}
}

// The same of coordinator nodes: a decision that was being written when its node was killed
// is not in the log of the next incarnation, unless it was there before.
func TestInFlightWhenACoordinatorNodeIsKilled(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		l := startSlowLoad(t, c, "orders")
		for i, op := range []vfs.Op{vfs.OpWrite, vfs.OpSync} {
			node := c.Coordinator().Active()
			var raw brokersim.RawDisk
			s := new(spy)
			require.NoError(t, node.Kill())
			brokersim.WrapNodeDisk(node, func(d brokersim.RawDisk) brokersim.RawDisk { raw, s.RawDisk = d, d; return s })
			require.NoError(t, node.Start())
			brokersim.WrapNodeDisk(node, func(brokersim.RawDisk) brokersim.RawDisk { return raw })
			c.Must(brokersim.ActiveCoordinator())
			time.Sleep(3 * time.Second)

			held, release := brokersim.NodeFaultsOf(node).Hold(op, "")
			var asking sync.WaitGroup
			asking.Go(func() { _ = c.Cluster.CreateTopic(fmt.Sprint("topic-", i), 1, 1) }) // who knows what becomes of it
			<-held
			require.NoError(t, node.Kill())
			s.ended.Store(true)
			release()
			require.NoError(t, node.Start())
			asking.Wait()
			c.CreateTopic(fmt.Sprint("after-", i), 1, 1)
			time.Sleep(3 * time.Second)
			require.Zero(t, s.late.Load())
			c.Must(func(now brokersim.Snapshot) (bool, string) {
				for _, n := range now.Quorum.Nodes {
					if n.Offset != now.Offset {
						return false, "every node to know everything"
					}
				}
				return true, ""
			})
		}
		equalAgain(t, c, l)
	}, busy())
}
