package brokersim_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

func TestFailNext(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.RecordRetries(0), kgo.DisableIdempotentWrite())
		produce(t, p, "a")
		f := c.Leader("orders", 0).FailNext(kmsg.Produce.Int16(), kerr.MessageTooLarge, 1)
		err := p.ProduceSync(t.Context(), kgo.StringRecord("b")).FirstErr()
		require.ErrorIs(t, err, kerr.MessageTooLarge)
		require.Empty(t, c.Snapshot().Faults, "it has spent itself")
		f.Heal()
		produce(t, p, "c")
		require.Equal(t, []string{"a", "c"}, consume(t, c, "orders", 2))
		require.Error(t, c.Broker(1).FailNext(0, nil, 1).Err())
	})
}

func TestInterceptedMessages(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a")
		leader := []brokersim.End{brokersim.B(c.Leader("orders", 0).ID())}
		clients := []brokersim.End{brokersim.Clients}
		key := kmsg.Produce.Int16()

		f := c.Net().Intercept(clients, leader, key, brokersim.Delay(3*time.Second))
		began := time.Now()
		produce(t, p, "b")
		require.GreaterOrEqual(t, time.Since(began), 3*time.Second)
		f.Heal()

		// The answer is lost after the effect: the client sends again, and is told once.
		f = c.Net().Intercept(clients, leader, key, brokersim.DropResponse)
		time.AfterFunc(time.Second, f.Heal)
		produce(t, p, "c")

		f = c.Net().Intercept(clients, leader, key, brokersim.DropRequest)
		time.AfterFunc(time.Second, f.Heal)
		produce(t, p, "d")
		require.Equal(t, []string{"a", "b", "c", "d"}, consume(t, c, "orders", 4))
	})
}

func TestLatencyOneWayAndLoss(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a")
		brokers := []brokersim.End{brokersim.B(1), brokersim.B(2), brokersim.B(3)}
		f := c.Net().Latency(brokers, brokers, 50*time.Millisecond, 5*time.Millisecond)
		began := time.Now()
		produce(t, p, "b")
		require.GreaterOrEqual(t, time.Since(began), 90*time.Millisecond, "there and back")
		f.Heal()

		leader := c.Leader("orders", 0)
		one := c.Net().OneWay([]brokersim.End{brokersim.B(leader.ID())}, []brokersim.End{brokersim.Q(1), brokersim.Q(2), brokersim.Q(3)})
		c.Must(brokersim.NewLeader("orders", 0, leader.ID()))
		one.Heal()
		c.Must(brokersim.FullISR())

		c.Net().Loss(brokers, brokers, 0.5)
		for range 20 {
			time.Sleep(time.Second)
			produce(t, p, "x")
		}
		c.Heal()
		c.Must(brokersim.FullISR())
	})
}

// A disk that fails takes its broker down, and no acknowledged record with it.
func TestFailingDiskTakesBrokerDown(t *testing.T) {
	for name, ail := range map[string]func(*brokersim.Disk) *brokersim.Fault{
		"full":   (*brokersim.Disk).Full,
		"broken": func(d *brokersim.Disk) *brokersim.Fault { return d.Fail(syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
				p := client(t, c, kgo.DefaultProduceTopic("orders"))
				produce(t, p, "a")
				leader := c.Leader("orders", 0)
				f := ail(leader.Disk())
				produce(t, p, "b")
				c.Must(brokersim.NewLeader("orders", 0, leader.ID()))
				c.Must(func(s brokersim.Snapshot) (bool, string) {
					b, _ := s.Broker(leader.ID())
					return b.Process == brokersim.Failed, "the broker to give up"
				})
				failed := false
				for e := range c.Events(t.Context(), 0) {
					if failed = e.Kind == event.BrokerFailed; failed {
						err, _ := e.Data["error"].(error)
						require.Error(t, err)
						require.True(t, errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC), err)
						break
					}
				}
				f.Heal()
				require.NoError(t, leader.Start())
				c.Must(brokersim.FullISR())
				require.Equal(t, []string{"a", "b"}, consume(t, c, "orders", 2))
			})
		})
	}
}
