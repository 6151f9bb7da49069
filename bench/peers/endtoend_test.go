package peers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// How long from a record's produce until a consumer that waits for it has it? Records of
// 1 KiB, acks=all; the next is produced when the last was polled. An operation is 2,000
// records, and both clients are kgo.
func BenchmarkEndToEnd(b *testing.B) {
	b.Run("on=memory/net=tcp", func(b *testing.B) {
		used.against(b, []contender{ours(1, "memory"), inMemory(), ours(3, "memory")}, 1, endToEnd)
	})
	b.Run("on=disk/net=tcp", func(b *testing.B) {
		used.against(b, []contender{onDisk(), ours(3, "disk"), kafka()}, 1, endToEnd)
	})
}

func endToEnd(b *testing.B, c cluster) {
	const records = 2_000
	s := c.(*speaker)
	producer, consumer := s.client(b), s.client(b, kgo.ConsumeTopics(s.topic))
	defer producer.Close()
	defer consumer.Close()
	took, value, next := newHistogram(), payload(1<<10), int64(0)
	once := func() {
		began := time.Now()
		producer.Produce(context.Background(), &kgo.Record{Value: value}, nil)
		for want := next + 1; next < want; {
			fetches := consumer.PollFetches(context.Background())
			require.NoError(b, fetches.Err())
			fetches.EachRecord(func(r *kgo.Record) {
				require.Equal(b, next, r.Offset)
				next++
			})
		}
		_ = took.RecordValue(int64(time.Since(began)))
	}
	repeat(b, records, took, once)
	report(b, took)
	c.requireRecords(b, next)
}
