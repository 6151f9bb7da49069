package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// Each way to lose a broker and to have it back, with a client at work.
func TestWaysToLoseABroker(t *testing.T) {
	for name, way := range map[string]struct{ lose, back func(*brokersim.Broker) error }{
		"kill":      {(*brokersim.Broker).Kill, (*brokersim.Broker).Start},
		"power off": {(*brokersim.Broker).PowerOff, (*brokersim.Broker).Start},
		"stop":      {(*brokersim.Broker).Stop, (*brokersim.Broker).Start},
		"pause": {
			func(b *brokersim.Broker) error { b.Pause(); return nil },
			func(b *brokersim.Broker) error { b.Resume(); return nil },
		},
		"kill and wipe": {
			func(b *brokersim.Broker) error { return b.Kill() },
			func(b *brokersim.Broker) error {
				if err := b.Wipe(); err != nil {
					return err
				}
				return b.Start()
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
				p := client(t, c, kgo.DefaultProduceTopic("orders"))
				produce(t, p, "a", "b")
				old := c.Leader("orders", 0)
				require.NoError(t, way.lose(old))
				c.Must(brokersim.NewLeader("orders", 0, old.ID()))
				produce(t, p, "c")
				c.CheckInvariants()
				require.NoError(t, way.back(old))
				c.Must(brokersim.FullISR())
				produce(t, p, "d")
				c.Must(brokersim.Replicated("orders", 0, 4))
				require.Equal(t, []string{"a", "b", "c", "d"}, consume(t, c, "orders", 4))
			})
		})
	}
}

// Death is noticed at once, silence after a session.
func TestDeathAndSilence(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		took := func(lose func(*brokersim.Broker)) time.Duration {
			old := c.Leader("orders", 0)
			began := time.Now()
			lose(old)
			c.Must(brokersim.NewLeader("orders", 0, old.ID()))
			d := time.Since(began)
			_ = old.Start()
			old.Resume()
			c.Heal()
			c.Must(brokersim.FullISR())
			return d
		}
		require.Less(t, took(func(b *brokersim.Broker) { b.Kill() }), 100*time.Millisecond)
		require.Less(t, took(func(b *brokersim.Broker) { b.Stop() }), time.Second)
		for _, silence := range []func(*brokersim.Broker){
			func(b *brokersim.Broker) { b.PowerOff() },
			func(b *brokersim.Broker) { b.Pause() },
			func(b *brokersim.Broker) { b.Isolate() },
		} {
			d := took(silence)
			require.GreaterOrEqual(t, d, 700*time.Millisecond)
			require.Less(t, d, 1500*time.Millisecond)
		}
	})
}

// The data path goes on while a minority of the coordinator is gone, and while
// all of it is.
func TestCoordinatorCrashes(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a")

		active := c.Coordinator().Active()
		require.NoError(t, active.Kill())
		began := time.Now()
		produce(t, p, "b")
		require.Less(t, time.Since(began), 100*time.Millisecond, "nobody needs a coordinator to write")
		c.Must(brokersim.ActiveCoordinator())
		require.NotEqual(t, active.ID(), c.Coordinator().Active().ID())

		old := c.Leader("orders", 0)
		require.NoError(t, old.Kill())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		produce(t, p, "c")
		require.NoError(t, active.Start())
		require.NoError(t, old.Start())
		c.Must(brokersim.FullISR())
		require.Equal(t, []string{"a", "b", "c"}, consume(t, c, "orders", 3))
	})
}

func TestWholeCoordinatorRestarts(t *testing.T) {
	for name, end := range map[string]func(*brokersim.Node) error{
		"killed": (*brokersim.Node).Kill, "powered off": (*brokersim.Node).PowerOff,
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"), brokersim.SnapshotEvery(64))
				p := client(t, c, kgo.DefaultProduceTopic("orders"))
				produce(t, p, "a")
				before := c.Snapshot()
				for _, n := range c.Coordinator().Nodes() {
					require.NoError(t, end(n))
				}
				require.Nil(t, c.Coordinator().Active())
				produce(t, p, "b")
				for _, n := range c.Coordinator().Nodes() {
					require.NoError(t, n.Start())
				}
				c.Must(brokersim.ActiveCoordinator())
				time.Sleep(5 * time.Second)
				c.Must(brokersim.FullISR())
				produce(t, p, "c")
				after := c.Snapshot()
				require.Equal(t, before.Brokers[0].Epoch, after.Brokers[0].Epoch, "nobody was fenced for the coordinator's absence")
				require.Equal(t, before.Partitions[0].LeaderEpoch, after.Partitions[0].LeaderEpoch)
				old := c.Leader("orders", 0)
				require.NoError(t, old.Kill())
				c.Must(brokersim.NewLeader("orders", 0, old.ID()))
			})
		})
	}
}

func TestActiveCoordinatorPausedOrIsolated(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		for range 3 {
			active := c.Coordinator().Active()
			cut := active.Isolate()
			c.Must(newActive(active.ID()))
			cut.Heal()
			c.Must(brokersim.FullISR())
			active = c.Coordinator().Active()
			active.Pause()
			c.Must(newActive(active.ID()))
			active.Resume()
			c.Must(brokersim.FullISR())
		}
	})
}

func newActive(not int32) brokersim.Cond {
	return func(s brokersim.Snapshot) (bool, string) {
		return s.Quorum.Active != "" && s.Quorum.Active != event.CoordinatorNode(not), "another active coordinator"
	}
}

// The chain of causes from the kill to the truncation is there to be told.
func TestEventsNameTheirCauses(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		since := c.Snapshot().Seq
		old := c.Leader("orders", 0)
		require.NoError(t, old.Kill())
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		byKind := map[event.Kind]brokersim.Event{}
		for e := range c.Events(t.Context(), since) {
			if _, ok := byKind[e.Kind]; !ok {
				byKind[e.Kind] = e
			}
			if e.Kind == event.LeaderElected {
				break
			}
		}
		require.Equal(t, byKind[event.BrokerKilled].Seq, byKind[event.BrokerGone].Cause)
		require.Equal(t, byKind[event.BrokerGone].Seq, byKind[event.BrokerFenced].Cause)
		require.Equal(t, byKind[event.BrokerFenced].Seq, byKind[event.LeaderElected].Cause)
	})
}

func TestVerbsThatDoNotFit(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		b := c.Broker(2)
		require.ErrorContains(t, b.Start(), "broker 2 is running already")
		require.ErrorContains(t, b.Wipe(), "end it before its disk is taken away")
		b.Resume()
		b.Pause()
		b.Pause()
		require.ErrorContains(t, b.Stop(), "it is paused")
		require.NoError(t, b.Kill(), "a paused process can be killed")
		require.ErrorContains(t, b.PowerOff(), "broker 2 is not running: it is killed")
		require.ErrorContains(t, b.Stop(), "it is killed")
		b.Pause()
		require.Equal(t, brokersim.Killed, b.Process())
		require.Nil(t, c.Cluster.Broker(0))
		require.Nil(t, c.Cluster.Broker(9))
		require.ErrorContains(t, c.Net().Cut([]brokersim.End{"broker-9"}, []brokersim.End{brokersim.Clients}).Err(), "no end of this network")
		require.NoError(t, b.Start())
		c.Must(brokersim.FullISR())
	})
}
