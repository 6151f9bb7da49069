package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

const topic = "orders"

// quiet keeps what nodes log out of the figures.
var quiet = brokersim.Logger(slog.New(slog.DiscardHandler))

// tuned makes kgo look at the metadata and retry after 20 ms instead of its
// defaults (up to 5 s, and 250 ms), which would be all that a failover measures.
func tuned() []kgo.Opt {
	pause := 20 * time.Millisecond
	return []kgo.Opt{kgo.MetadataMinAge(pause), kgo.RetryBackoffFn(func(int) time.Duration { return pause })}
}

// served is what a client needs to know of a cluster.
type served interface {
	Addrs() []string
	Dial(ctx context.Context, network, addr string) (net.Conn, error)
}

// newClient returns an ordinary client without linger.
func newClient(tb testing.TB, c served, opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Addrs()...),
		kgo.Dialer(c.Dial),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
	}, opts...)...)
	require.NoError(tb, err)
	return client
}

// A load produces one record a millisecond, keyed so that all partitions get
// some, until it is stopped. It remembers when each record was placed and acked.
type load struct {
	client *kgo.Client
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	acks    []ack
	failed  error
	changed chan struct{} // closed and replaced at each ack
}

// An ack is one acknowledged record.
type ack struct {
	placed, acked time.Time
	partition     int32
}

func startLoad(tb testing.TB, c *brokertest.C, opts ...kgo.Opt) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: newClient(tb, c, opts...), stop: cancel, changed: make(chan struct{})}
	l.wg.Go(func() { l.run(ctx) })
	return l
}

func (l *load) run(ctx context.Context) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		placed := time.Now()
		record := &kgo.Record{Key: fmt.Append(nil, "order-", i), Value: make([]byte, 100)}
		l.wg.Add(1)
		l.client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
			defer l.wg.Done()
			l.acked(ack{placed, time.Now(), r.Partition}, err)
		})
	}
}

func (l *load) acked(a ack, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = err
		return
	}
	l.acks = append(l.acks, a)
	close(l.changed)
	l.changed = make(chan struct{})
}

// firstAfter waits for the first ack of a record that was placed after the given
// moment in one of the partitions.
func (l *load) firstAfter(tb testing.TB, moment time.Time, partitions []int32) ack {
	for deadline := time.After(30 * time.Second); ; {
		l.mu.Lock()
		i := slices.IndexFunc(l.acks, func(a ack) bool {
			return a.placed.After(moment) && slices.Contains(partitions, a.partition)
		})
		var found ack
		if i >= 0 {
			found = l.acks[i]
		}
		changed := l.changed
		l.mu.Unlock()
		if i >= 0 {
			return found
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(tb, "no ack within 30 s")
		}
	}
}

// between returns how long the acks of records placed in a stretch of time took.
func (l *load) between(from, to time.Time) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var took []time.Duration
	for _, a := range l.acks {
		if a.placed.After(from) && a.placed.Before(to) {
			took = append(took, a.acked.Sub(a.placed))
		}
	}
	slices.Sort(took)
	return took
}

// forget drops the acks so far, so that looking through them stays quick.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = l.acks[:0]
}

// close stops the load and checks that every record was acknowledged.
func (l *load) close(tb testing.TB) {
	l.stop()
	l.wg.Wait()
	l.client.Close()
	require.NoError(tb, l.failed)
}

// quantile returns the q-quantile of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
