package bench

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// What does each promise cost? One asynchronous client over TCP, records of 1 KiB to
// six partitions; an operation is a load of 64 MiB until its last record is acknowledged.
func BenchmarkProduce(b *testing.B) {
	for _, on := range []string{"memory", "disk"} {
		for _, acks := range []string{"1", "all"} {
			for _, rf := range []int{1, 3} {
				b.Run(fmt.Sprintf("on=%s/acks=%s/rf=%d/record=1KiB", on, acks, rf), func(b *testing.B) {
					produce(b, on, acks, rf, 1<<10)
				})
			}
		}
	}
}

func produce(b *testing.B, on, acks string, rf, size int) {
	const load = 64 << 20
	c := startOn(b, on, brokersim.Topic(topic, 6, rf))
	opts := []kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression())}
	if acks == "1" {
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	client := newClient(b, c, opts...)
	defer client.Close()
	value := make([]byte, size)
	fill(value)
	send(b, client, value, 1_000)

	b.SetBytes(load)
	b.ReportAllocs()
	for b.Loop() {
		send(b, client, value, load/size)
	}
	records := b.N * (load / size)
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
	requireOnAll(b, c, rf, int64(1_000+records))
}

// startOn starts a cluster in memory or on disk that keeps its thoughts to itself.
func startOn(b *testing.B, on string, opts ...brokersim.Option) *brokertest.C {
	opts = append(opts, quiet)
	if on == "disk" {
		opts = append(opts, brokersim.DataDir(b.TempDir()))
	}
	return brokertest.Start(b, opts...)
}

// send produces records and waits until each is acknowledged.
func send(b *testing.B, client *kgo.Client, value []byte, records int) {
	acked, failed := 0, error(nil) // promises are called one at a time
	for range records {
		client.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if acked++; err != nil {
				failed = err
			}
		})
	}
	require.NoError(b, client.Flush(context.Background()))
	require.NoError(b, failed)
	require.Equal(b, records, acked)
}

// requireOnAll checks that the topic holds so many records, each on rf brokers.
func requireOnAll(tb testing.TB, c *brokertest.C, rf int, records int64) {
	var logs, copies int64
	c.Must(func(s brokersim.Snapshot) (bool, string) {
		logs, copies = 0, 0
		for _, p := range s.Partitions {
			logs += p.HighWatermark
			for _, r := range p.Replicas {
				copies += r.LEO
			}
		}
		return logs == records && copies == records*int64(rf), "every replica to have every record"
	})
	require.Equal(tb, records, logs)
}
