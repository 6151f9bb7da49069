package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// small makes many segments, each with an index of some entries.
var small = []string{"segment.bytes=3000", "index.interval.bytes=300"}

// options are what the cluster is made with.
func options(dir string) []brokersim.Option {
	topic := func(name string, cfg ...string) brokersim.Option {
		return brokersim.Topic(name, 1, 3, append(cfg, small...)...)
	}
	return []brokersim.Option{
		brokersim.DataDir(dir), brokersim.BrokerConfig("log.retention.check.interval.ms=100"),
		topic("codecs"), topic("shapes"), topic("idempotent"), topic("stamped", "message.timestamp.type=LogAppendTime"),
		topic("packed", "compression.type=zstd"), topic("epochs"), topic("short", "retention.bytes=1000"),
		brokersim.Topic("one", 1, 3), brokersim.Topic("empty", 1, 3),
		brokersim.Topic("full", 1, 3, "index.interval.bytes=100", "segment.index.bytes=64"),
	}
}

// A writer writes to a cluster and tells of what was acknowledged.
type writer struct {
	t     *testing.T
	c     *brokersim.Cluster
	acked func(r *kgo.Record)
}

// everything writes whatever makes a difference to the files.
func (w writer) everything() {
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		w.with([]kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.DisableIdempotentWrite()}, func(cl *kgo.Client) {
			for b := range 10 {
				w.batch(cl, "codecs", 1+3*(b%4), func(n int) *kgo.Record {
					return &kgo.Record{Key: fmt.Append(nil, "k", n), Value: []byte(fmt.Sprint("codec ", i, strings.Repeat(" value", 5*n)))}
				})
			}
		})
	}
	w.with([]kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}, func(cl *kgo.Client) {
		for b := range 60 {
			for _, topic := range []string{"idempotent", "stamped", "packed", "epochs", "short", "one", "full"} {
				w.batch(cl, topic, 1+b%3, func(n int) *kgo.Record {
					return &kgo.Record{Key: fmt.Append(nil, "k", n), Value: []byte(fmt.Sprint("batch ", b, " record ", n, strings.Repeat(".", b)))}
				})
			}
		}
		w.shapes(cl)
	})
	for range 2 {
		w.failover("epochs")
	}
	w.until("segments are retired", func() bool {
		for _, r := range w.c.Partition("short", 0).Replicas {
			if r.LogStart == 0 {
				return false
			}
		}
		return true
	})
}

func (w writer) shapes(cl *kgo.Client) {
	for _, key := range [][]byte{nil, {}, []byte("key")} {
		for _, value := range [][]byte{nil, {}, []byte("value")} {
			w.batch(cl, "shapes", 1, func(int) *kgo.Record { return &kgo.Record{Key: key, Value: value} })
		}
	}
	base := time.Now().Add(-time.Hour)
	for _, at := range [][]int{{5, 3, 9, 1}, {2, 2}, {20, 10}, {8, 30, 8}, {30, 30}, {29, 31, 7}, {40, 40, 39}} { // up and down
		for range 4 {
			w.batch(cl, "shapes", len(at), func(n int) *kgo.Record {
				r := &kgo.Record{Key: []byte("time"), Value: []byte(strings.Repeat("x", 100)), Timestamp: base.Add(time.Duration(at[n]) * time.Second)}
				for h := range n {
					r.Headers = append(r.Headers, kgo.RecordHeader{Key: fmt.Sprint("h", h), Value: [][]byte{nil, {}, {0, 255}}[h%3]})
				}
				return r
			})
		}
	}
	w.batch(cl, "shapes", 2, func(n int) *kgo.Record {
		return &kgo.Record{Value: []byte("1970"), Timestamp: time.UnixMilli(int64(n))}
	})
	w.batch(cl, "shapes", 1, func(int) *kgo.Record { return &kgo.Record{Value: []byte(strings.Repeat("y", 2800))} })
}

// failover kills a topic's leader, writes to the next one and brings the old one back.
func (w writer) failover(topic string) {
	old := w.c.Leader(topic, 0)
	require.NoError(w.t, old.Kill())
	w.must(brokersim.NewLeader(topic, 0, old.ID()))
	w.with(nil, func(cl *kgo.Client) {
		for b := range 8 {
			w.batch(cl, topic, 2, func(n int) *kgo.Record {
				return &kgo.Record{Key: fmt.Append(nil, "k", n), Value: fmt.Append(nil, "after ", old.Name(), " batch ", b)}
			})
		}
	})
	require.NoError(w.t, old.Start())
	w.must(brokersim.FullISR())
}

func (w writer) with(opts []kgo.Opt, f func(*kgo.Client)) {
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(w.c.Addrs()...), kgo.ManualFlushing())...)
	require.NoError(w.t, err)
	defer cl.Close()
	f(cl)
}

// batch sends n records at once.
func (w writer) batch(cl *kgo.Client, topic string, n int, make func(n int) *kgo.Record) {
	for i := range n {
		r := make(i)
		r.Topic = topic
		cl.Produce(w.t.Context(), r, func(r *kgo.Record, err error) {
			if err != nil {
				w.t.Errorf("%s: %v", topic, err)
				return
			}
			w.acked(r)
		})
	}
	require.NoError(w.t, cl.Flush(w.t.Context()))
}

func (w writer) must(cond brokersim.Cond) { require.NoError(w.t, w.c.Wait(w.t.Context(), cond)) }

func (w writer) until(what string, done func() bool) {
	require.Eventually(w.t, done, 20*time.Second, 20*time.Millisecond, what)
}
