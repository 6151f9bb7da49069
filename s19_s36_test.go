package brokersim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// S19: everything goes down at once, and min.insync.replicas - 1 replicas lose what their
// disks had not synced; the others keep what they wrote. Nothing that was acked is lost,
// though nothing was synced, and whoever comes back first.
func TestS19PowerLossOfMinISRMinusOne(t *testing.T) {
	for name, choose := range map[string]func(c *brokertest.C) *brokersim.Broker{
		"the leader": func(c *brokertest.C) *brokersim.Broker { return c.Leader("orders", 0) },
		"a follower": func(c *brokertest.C) *brokersim.Broker { return c.Followers("orders", 0)[0] },
	} {
		t.Run(name, func(t *testing.T) {
			onDisks(t, func(t *testing.T, c *brokertest.C) {
				l := startSlowLoad(t, c, "orders")
				time.Sleep(300 * time.Millisecond)
				l.stop()
				lossy := choose(c)
				for _, n := range c.Coordinator().Nodes() {
					require.NoError(t, n.Kill())
				}
				for _, b := range c.Brokers() {
					if b == lossy {
						require.NoError(t, b.PowerOff())
					} else {
						require.NoError(t, b.Kill())
					}
				}
				for _, n := range c.Coordinator().Nodes() {
					require.NoError(t, n.Start())
				}
				c.Must(brokersim.ActiveCoordinator())
				require.NoError(t, lossy.Start())
				c.Must(brokersim.Registered(lossy.ID(), brokersim.Unfenced))
				time.Sleep(3 * time.Second)
				for _, b := range c.Brokers() {
					if b != lossy {
						require.NoError(t, b.Start())
					}
				}
				equalAgain(t, c, l)
				require.Empty(t, electedUncleanly(t, c))
			}, orders())
		})
	}
}

// S19, the other side: all replicas lose power at once. What was acked without a sync may
// be gone, by the default as in Kafka; the election says so, and what is left is the
// beginning of what was acked. With flush.messages=1 nothing is.
func TestS19PowerLossOfAll(t *testing.T) {
	for name, safe := range map[string]bool{"by default": false, "flush.messages=1": true} {
		t.Run(name, func(t *testing.T) {
			flush := "flush.messages=9223372036854775807"
			if safe {
				flush = name
			}
			onDisks(t, func(t *testing.T, c *brokertest.C) {
				l := startSlowLoad(t, c, "orders")
				time.Sleep(300 * time.Millisecond)
				l.stop()
				everybody(func(b *brokersim.Broker) { b.PowerOff() }, func(n *brokersim.Node) { n.PowerOff() })(c.Cluster)
				startAll(t, c)
				require.NotEmpty(t, electedUncleanly(t, c), "a possible loss is told")
				end := c.Partition("orders", 0).Replicas[0].LEO
				c.Must(brokersim.Replicated("orders", 0, end))
				if safe {
					require.Equal(t, int64(len(l.acked)), end)
				}
				require.LessOrEqual(t, end, int64(len(l.acked)))
				if end > 0 {
					require.Equal(t, l.acked[:end], consume(t, c, "orders", int(end)))
				}
				lost := len(l.acked) - int(end)
				t.Logf("%d of %d acked orders are lost", lost, len(l.acked))
				if !safe {
					require.Positive(t, lost, "nothing had been synced")
				}
			}, orders(flush))
		})
	}
}

// S36: a broker loses power while it writes the checkpoint of the leader epochs, at every
// step of that. The checkpoint is rebuilt from the log, and nothing else is missing.
func TestS36EpochCheckpointTornByPowerLoss(t *testing.T) {
	for step, op := range map[string]vfs.Op{
		"create": vfs.OpCreate, "write": vfs.OpWrite, "sync": vfs.OpSync, "rename": vfs.OpRename,
	} {
		for seed := range uint64(4) {
			for _, kind := range diskKinds {
				if kind == "files" && seed > 0 {
					continue // it always takes the worst case
				}
				t.Run(fmt.Sprintf("%s/%s/seed=%d", step, kind, seed), func(t *testing.T) {
					onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
						l := startSlowLoad(t, c, "orders")
						time.Sleep(100 * time.Millisecond)
						old := c.Leader("orders", 0)
						var helds []<-chan struct{}
						for _, b := range c.Followers("orders", 0) {
							held, release := brokersim.FaultsOf(b).Hold(op, "leader-epoch-checkpoint*")
							defer release()
							helds = append(helds, held)
						}
						followers := c.Followers("orders", 0)
						require.NoError(t, old.Kill()) // one of them is elected and writes down its epoch
						torn := followers[0]
						select {
						case <-helds[0]:
						case <-helds[1]:
							torn = followers[1]
						}
						require.NoError(t, torn.PowerOff())
						for _, b := range followers {
							brokersim.FaultsOf(b).HealAll()
						}
						require.NoError(t, old.Start())
						require.NoError(t, torn.Start())
						equalAgain(t, c, l)
						writeMore(t, c, l) // in an epoch that all of them then have
						equalAgain(t, c, l)
						require.Empty(t, electedUncleanly(t, c))
						starts := c.Partition("orders", 0).Replicas[0].EpochStarts
						for _, r := range c.Partition("orders", 0).Replicas {
							require.Equal(t, starts, r.EpochStarts)
						}
					}, orders(), brokersim.Seed(seed+1))
				})
			}
		}
	}
}

// The checkpoint is gone from every broker at once: it is no more than a copy of the log.
func TestS36WithNoCheckpointAtAll(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a")
		c.Must(brokersim.Replicated("orders", 0, 1))
		old := c.Leader("orders", 0)
		require.NoError(t, old.Kill())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		produce(t, p, "b")
		before := c.Partition("orders", 0).Replicas[0].EpochStarts
		for _, b := range c.Brokers() {
			if b.Process().Up() {
				require.NoError(t, b.Kill())
			}
			require.NoError(t, brokersim.FilesOf(b).Remove("orders-0/leader-epoch-checkpoint"))
		}
		for _, b := range c.Brokers() {
			require.NoError(t, b.Start())
		}
		c.Must(brokersim.FullISR())
		c.Must(brokersim.Replicated("orders", 0, 2))
		for _, r := range c.Partition("orders", 0).Replicas {
			require.Subset(t, r.EpochStarts, before, "broker %d", r.Broker)
		}
		require.Empty(t, electedUncleanly(t, c))
	}, orders())
}
