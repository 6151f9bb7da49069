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
)

// A load is a client at work: it writes one order after another and waits for
// each ack, whatever happens to the cluster, until it is stopped.
type load struct {
	c       *brokertest.C
	topic   string
	once    sync.Once
	end     chan struct{}
	done    chan struct{}
	acked   []string
	failed  []error       // produces that the client gave up; their orders are neither lost nor duplicates
	slowest time.Duration // the longest wait for an ack
}

// startLoad returns once the first order is acked.
func startLoad(t testing.TB, c *brokertest.C, topic string, opts ...kgo.Opt) *load {
	t.Helper()
	return startPacedLoad(t, c, topic, 2*time.Millisecond, opts...)
}

// startSlowLoad is a load for tests that are long, or have real files: each order costs
// them what is rolled and synced.
func startSlowLoad(t testing.TB, c *brokertest.C, topic string) *load {
	t.Helper()
	return startPacedLoad(t, c, topic, 20*time.Millisecond)
}

func startPacedLoad(t testing.TB, c *brokertest.C, topic string, pause time.Duration, opts ...kgo.Opt) *load {
	t.Helper()
	p := client(t, c, append(opts, kgo.DefaultProduceTopic(topic))...)
	l := &load{c: c, topic: topic, end: make(chan struct{}), done: make(chan struct{})}
	first := make(chan struct{})
	go func() {
		defer close(l.done)
		for i := 0; ; i++ {
			value, began := fmt.Sprint("order-", i), time.Now()
			if err := p.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
				l.failed = append(l.failed, err)
			} else {
				l.acked = append(l.acked, value)
				l.slowest = max(l.slowest, time.Since(began))
			}
			if i == 0 {
				close(first)
			}
			select {
			case <-l.end:
				return
			case <-time.After(pause):
			}
		}
	}()
	t.Cleanup(l.stop)
	<-first
	return l
}

// stop ends the client's work once it has an answer to its last order. It may be
// called twice.
func (l *load) stop() {
	l.once.Do(func() { close(l.end) })
	<-l.done
}

// kept requires that every order that was acked is there, once, in order. The load
// must be stopped.
func (l *load) kept(t testing.TB) {
	t.Helper()
	require.NotEmpty(t, l.acked)
	l.c.Must(brokersim.Committed(l.topic, 0, int64(len(l.acked))))
	end := l.c.Partition(l.topic, 0).HighWatermark
	read := consume(t, l.c, l.topic, int(end))
	if len(l.failed) == 0 {
		require.Equal(t, l.acked, read)
		return
	}
	times := map[string]int{}
	for _, value := range read {
		times[value]++
		require.Equal(t, 1, times[value], "%s is there twice", value)
	}
	for _, value := range l.acked {
		require.Equal(t, 1, times[value], "%s was acked and is gone", value)
	}
}
