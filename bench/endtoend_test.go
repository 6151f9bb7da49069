package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// How long from a record's produce until a consumer that waits for it has it? Records of
// 1 KiB, one after the other: the next is produced when the last was polled.
func BenchmarkEndToEnd(b *testing.B) {
	for _, on := range []string{"memory", "disk"} {
		for _, rf := range []int{1, 3} {
			b.Run(fmt.Sprintf("on=%s/rf=%d", on, rf), func(b *testing.B) { endToEnd(b, on, rf) })
		}
	}
}

func endToEnd(b *testing.B, on string, rf int) {
	c := startOn(b, on, brokersim.Topic(topic, 1, rf))
	producer := newClient(b, c)
	defer producer.Close()
	consumer := newClient(b, c, kgo.ConsumeTopics(topic))
	defer consumer.Close()
	took, value, next := newHistogram(), make([]byte, 1<<10), int64(0)
	once := func() {
		began := time.Now()
		producer.Produce(context.Background(), &kgo.Record{Value: value}, nil)
		for records := 0; records == 0; {
			fetches := consumer.PollFetches(context.Background())
			if err := fetches.Err(); err != nil {
				b.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if records++; r.Offset != next {
					b.Fatalf("offset %d instead of %d", r.Offset, next)
				}
				next++
			})
		}
		took.record(time.Since(began))
	}
	for range 200 {
		once()
	}
	took.Reset()
	for b.Loop() {
		once()
	}
	took.report(b)
	require.EqualValues(b, 200+b.N, next)
	requireOnAll(b, c, rf, next)
}
