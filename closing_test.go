package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// A cluster can be closed in whatever state it is in; the bubble finds what is left.
func TestCloseInAnyState(t *testing.T) {
	for name, hurt := range map[string]func(c *brokersim.Cluster){
		"healthy":            func(*brokersim.Cluster) {},
		"everybody paused":   everybody((*brokersim.Broker).Pause, (*brokersim.Node).Pause),
		"everybody killed":   everybody(func(b *brokersim.Broker) { b.Kill() }, func(n *brokersim.Node) { n.Kill() }),
		"everybody off":      everybody(func(b *brokersim.Broker) { b.PowerOff() }, func(n *brokersim.Node) { n.PowerOff() }),
		"everybody isolated": everybody(func(b *brokersim.Broker) { b.Isolate() }, func(n *brokersim.Node) { n.Isolate() }),
		"disks stuck":        everybody(func(b *brokersim.Broker) { b.Disk().Slow(time.Hour, time.Hour) }, func(n *brokersim.Node) { n.Disk().Slow(time.Hour, time.Hour) }),
		"a stop that waits":  func(c *brokersim.Cluster) { withoutCoordinator(c, func(b *brokersim.Broker) { b.Stop() }) },
		"a topic being created": func(c *brokersim.Cluster) {
			withoutCoordinator(c, func(*brokersim.Broker) { c.CreateTopic("late", 1, 1) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c, err := brokersim.New(t.Context(), brokersim.InMemoryClients(), brokersim.Topic("orders", 2, 3))
				require.NoError(t, err)
				hurt(c)
				time.Sleep(3 * time.Second)
				began := time.Now()
				require.NoError(t, c.Close())
				require.Less(t, time.Since(began), time.Second)
			})
		})
	}
}

func everybody(broker func(*brokersim.Broker), node func(*brokersim.Node)) func(*brokersim.Cluster) {
	return func(c *brokersim.Cluster) {
		for _, n := range c.Coordinator().Nodes() {
			node(n)
		}
		for _, b := range c.Brokers() {
			broker(b)
		}
	}
}

func withoutCoordinator(c *brokersim.Cluster, do func(*brokersim.Broker)) {
	for _, n := range c.Coordinator().Nodes() {
		n.Kill()
	}
	go do(c.Broker(2))
}

// Killing does not wait for what the disk is at.
func TestKillWithAStuckDisk(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		b := c.Leader("orders", 0)
		b.Disk().Slow(time.Hour, time.Hour)
		client(t, c, kgo.DefaultProduceTopic("orders")).Produce(t.Context(), kgo.StringRecord("x"), nil)
		time.Sleep(10 * time.Second)
		began := time.Now()
		require.NoError(t, b.Kill())
		require.Less(t, time.Since(began), time.Second)
	})
}

// A broker that cannot say goodbye ends all the same, and says so.
func TestStopWithoutCoordinator(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		for _, n := range c.Coordinator().Nodes() {
			require.NoError(t, n.Kill())
		}
		err := c.Broker(2).Stop()
		require.ErrorContains(t, err, "stop broker 2: ")
		require.Equal(t, brokersim.Stopped, c.Broker(2).Process())
	})
}

// Several at once: each verb waits for the one at work, and no state is in between.
func TestVerbsAtOnce(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		b := c.Broker(1)
		errs := make(chan error, 40)
		for i := range cap(errs) {
			go func() {
				switch i % 4 {
				case 0:
					errs <- b.Kill()
				case 1:
					errs <- b.Start()
				case 2:
					b.Pause()
					b.Resume()
					errs <- nil
				default:
					c.Snapshot()
					errs <- nil
				}
			}()
		}
		for range cap(errs) {
			<-errs // whether it fits depends on who came first
		}
		if !b.Process().Up() {
			require.NoError(t, b.Start())
		}
		c.Heal()
		c.Must(brokersim.FullISR())
	})
}
