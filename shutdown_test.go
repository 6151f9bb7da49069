package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// Brokers are shut down one after the other with a client at work: leadership
// moves before the process ends, so the client waits for nobody's death.
func TestControlledShutdownUnderLoad(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		for range 4 {
			old := c.Leader("orders", 0)
			since := c.Snapshot().Seq
			time.Sleep(300 * time.Millisecond)
			require.NoError(t, old.Stop())
			order := map[event.Kind]uint64{}
			for e := range c.Events(t.Context(), since) {
				if _, known := order[e.Kind]; !known {
					order[e.Kind] = e.Seq
				}
				if e.Kind == event.BrokerStopped {
					break
				}
			}
			require.Contains(t, order, event.LeaderElected)
			require.Less(t, order[event.BrokerShuttingDown], order[event.LeaderElected])
			require.Less(t, order[event.LeaderElected], order[event.BrokerStopped])
			require.NotContains(t, order, event.BrokerGone)
			require.NotContains(t, order, event.SessionExpired)
			time.Sleep(300 * time.Millisecond)
			require.NoError(t, old.Start())
			c.Must(brokersim.FullISR())
		}
		l.stop()
		require.Empty(t, l.failed)
		require.Less(t, l.slowest, 200*time.Millisecond, "a fraction of a session")
		l.kept(t)
	})
}

// Every broker is stopped, and every one is started again, in any order: all of
// them left in good order, so nothing is unclean and nothing is lost.
func TestEverybodyStopsAndStarts(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		l := startLoad(t, c, "orders")
		time.Sleep(200 * time.Millisecond)
		l.stop()
		for _, b := range c.Brokers() {
			require.NoError(t, b.Stop())
		}
		c.Must(brokersim.NoLeader("orders", 0))
		for _, b := range c.Brokers() {
			require.NoError(t, b.Start())
			time.Sleep(2 * time.Second)
		}
		c.Must(brokersim.FullISR())
		require.Empty(t, electedUncleanly(t, c))
		l.kept(t)
	})
}

// The whole world restarts: every broker and every coordinator node.
func TestEverythingRestarts(t *testing.T) {
	for name, end := range map[string]struct {
		broker func(*brokersim.Broker) error
		node   func(*brokersim.Node) error
		clean  bool
	}{
		"killed":      {(*brokersim.Broker).Kill, (*brokersim.Node).Kill, true},
		"powered off": {(*brokersim.Broker).PowerOff, (*brokersim.Node).PowerOff, false},
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.SnapshotEvery(64),
					brokersim.Topic("orders", 1, 3, "min.insync.replicas=2", "flush.messages=1"))
				l := startLoad(t, c, "orders")
				time.Sleep(200 * time.Millisecond)
				l.stop()
				for _, b := range c.Brokers() {
					require.NoError(t, end.broker(b))
				}
				for _, n := range c.Coordinator().Nodes() {
					require.NoError(t, end.node(n))
				}
				time.Sleep(time.Minute)
				for _, n := range c.Coordinator().Nodes() {
					require.NoError(t, n.Start())
				}
				for _, b := range c.Brokers() {
					require.NoError(t, b.Start())
				}
				c.Must(brokersim.FullISR())
				require.Equal(t, end.clean, len(electedUncleanly(t, c)) == 0)
				l.kept(t) // every record was synced before its ack
			})
		})
	}
}

// electedUncleanly returns the elections that reported a possible loss.
func electedUncleanly(t testing.TB, c *brokertest.C) (unclean []brokersim.Event) {
	last := c.Snapshot().Seq
	for e := range c.Events(t.Context(), 0) {
		if lossy, _ := e.Data["unclean"].(bool); e.Kind == event.LeaderElected && lossy {
			unclean = append(unclean, e)
		}
		if e.Seq >= last {
			break
		}
	}
	return unclean
}
