package brokersim_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// keyUpdates is a client that writes newer and newer values of a few keys, whatever
// happens to the cluster.
type keyUpdates struct {
	acked map[string]string // the newest value of each key
	count int
	once  sync.Once
	end   chan struct{}
	done  chan struct{}
}

func startUpdates(t testing.TB, c *brokertest.C, keys int) *keyUpdates {
	t.Helper()
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	u := &keyUpdates{acked: map[string]string{}, end: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(u.done)
		for i := 0; ; i++ {
			key, value := fmt.Sprint("key-", i%keys), fmt.Sprint("value-", i)
			if err := p.ProduceSync(t.Context(), kgo.KeyStringRecord(key, value)).FirstErr(); err != nil {
				t.Error(err)
				return
			}
			u.acked[key], u.count = value, u.count+1
			select {
			case <-u.end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(u.stop)
	return u
}

func (u *keyUpdates) stop() {
	u.once.Do(func() { close(u.end) })
	<-u.done
}

// newest is the last value of each key that a consumer finds, and how many records
// it reads on the way.
func newest(t testing.TB, c *brokertest.C) (values map[string]string, records int) {
	values = map[string]string{}
	for _, r := range remaining(t, c) {
		if values[string(r.Key)] = string(r.Value); r.Value == nil {
			delete(values, string(r.Key))
		}
		records++
	}
	return values, records
}

var compacting = []brokersim.Option{
	brokersim.BrokerConfig("log.cleaner.backoff.ms=300"),
	brokersim.Topic("orders", 1, 3, "min.insync.replicas=2", "cleanup.policy=compact", "segment.bytes=1500", "flush.messages=1", "delete.retention.ms=5000"),
}

// The newest acknowledged value of every key outlives leaders, restarts, power losses
// and disks, on every replica, while each of them compacts its log for itself.
func TestTheNewestValueOfEachKeySurvives(t *testing.T) {
	for name, misfortune := range map[string]func(t *testing.T, b *brokersim.Broker){
		"kill":  func(t *testing.T, b *brokersim.Broker) { require.NoError(t, b.Kill()) },
		"stop":  func(t *testing.T, b *brokersim.Broker) { require.NoError(t, b.Stop()) },
		"power": func(t *testing.T, b *brokersim.Broker) { require.NoError(t, b.PowerOff()) },
		"wipe": func(t *testing.T, b *brokersim.Broker) {
			require.NoError(t, b.Kill())
			require.NoError(t, b.Wipe())
		},
	} {
		t.Run(name, func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) {
				c := brokertest.Start(t, compacting...)
				u := startUpdates(t, c, 5)
				for range 4 { // whoever leads
					time.Sleep(2 * time.Second)
					old := c.Leader("orders", 0)
					misfortune(t, old)
					c.Must(brokersim.NewLeader("orders", 0, old.ID()))
					time.Sleep(time.Second)
					c.CheckInvariants()
					require.NoError(t, old.Start())
					c.Must(brokersim.FullISR())
				}
				u.stop()
				c.Must(brokersim.Replicated("orders", 0, c.Partition("orders", 0).HighWatermark))
				time.Sleep(2 * time.Second)
				require.Greater(t, compactions(t, c), 20)
				for range 3 {
					values, records := newest(t, c)
					require.Equal(t, u.acked, values)
					require.Less(t, records, u.count/10)
					old := c.Leader("orders", 0)
					require.NoError(t, old.Kill())
					c.Must(brokersim.NewLeader("orders", 0, old.ID()))
					require.NoError(t, old.Start())
					c.Must(brokersim.FullISR())
				}
			})
		})
	}
}

// A key that was deleted is gone from every replica in the end, tombstone and all.
func TestDeletedKeysGo(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, compacting...)
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		put := func(r *kgo.Record) { require.NoError(t, p.ProduceSync(t.Context(), r).FirstErr()) }
		fill := func() {
			for i := range 60 {
				put(kgo.KeyStringRecord(fmt.Sprint("key-", i%3), fmt.Sprint("value-", i)))
			}
			time.Sleep(time.Second)
		}
		put(kgo.KeyStringRecord("deleted", "once"))
		fill()
		put(&kgo.Record{Key: []byte("deleted")})
		fill()
		tombstones := func() (n int) {
			for _, r := range remaining(t, c) {
				require.False(t, string(r.Key) == "deleted" && r.Value != nil)
				if r.Value == nil {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, tombstones(), "for whoever reads now")
		time.Sleep(10 * time.Second)
		fill()
		for range 3 {
			require.Zero(t, tombstones())
			old := c.Leader("orders", 0)
			require.NoError(t, old.Stop())
			c.Must(brokersim.NewLeader("orders", 0, old.ID()))
			require.NoError(t, old.Start())
			c.Must(brokersim.FullISR())
		}
	})
}

// Everything goes down at once, and compaction goes on where it was.
func TestCompactedLogsOutliveTheirBrokers(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, compacting...)
		u := startUpdates(t, c, 7)
		time.Sleep(3 * time.Second)
		u.stop()
		for round := range 3 {
			for _, b := range c.Brokers() {
				if round == 0 {
					require.NoError(t, b.PowerOff())
				} else {
					require.NoError(t, b.Kill())
				}
			}
			for _, b := range c.Brokers() {
				require.NoError(t, b.Start())
			}
			c.Must(brokersim.FullISR())
			more := startUpdates(t, c, 7)
			time.Sleep(2 * time.Second)
			more.stop()
			maps.Copy(u.acked, more.acked)
			values, _ := newest(t, c)
			require.Equal(t, u.acked, values)
		}
	})
}
