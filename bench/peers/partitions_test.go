package peers

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What does it cost to spread the same records over more partitions? An operation is
// 100,000 records of 1 KiB to one partition after the other, in memory, over TCP.
func BenchmarkPartitions(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) {
			used.against(b, []contender{nothing(), ours(3, "memory"), inMemory()}, n, func(b *testing.B, c cluster) { spread(b, c.(*speaker), n) })
		})
	}
}

func spread(b *testing.B, s *speaker, partitions int) {
	const records = 100_000
	client := s.client(b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	value, sent := payload(1<<10), int64(0)
	send := func(n int) {
		var failed error // promises are called one at a time
		for i := range n {
			r := &kgo.Record{Value: value, Partition: int32(i % partitions)}
			client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
				if err != nil {
					failed = err
				}
			})
		}
		require.NoError(b, client.Flush(context.Background()))
		require.NoError(b, failed)
		sent += int64(n)
	}
	send(max(partitions, records/8))
	before := cpuTime(b)
	for b.Loop() {
		send(records)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpuTime(b)-before)/records/float64(b.N), "cpu-ns/record")
	s.requireRecords(b, sent)
}
