package brokersim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// compactSoon is a topic that is compacted as soon as one of its segments is full,
// which three of the updates below fill.
var compactSoon = []string{"cleanup.policy=compact", "segment.bytes=2000"}

// effectsOnCompaction are which records stay.
var effectsOnCompaction = []effect{
	{
		config: "cleanup.policy", value: "compact", without: 10, with: 2, beside: compactSoon[1:],
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "k", "k", "k", "k", "k", "k", "k", "k", "k", "k")
			time.Sleep(20 * time.Second)
			return len(remaining(t, c))
		},
	},
	{
		config: "log.cleaner.backoff.ms", value: "1000", without: 10, with: 2, beside: compactSoon,
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "k", "k", "k", "k", "k", "k", "k", "k", "k", "k")
			time.Sleep(5 * time.Second)
			return len(remaining(t, c))
		},
	},
	{
		config: "log.cleaner.dedupe.buffer.size", value: "1", without: "one turn", with: "2 turns", beside: append(compactSoon, "min.cleanable.dirty.ratio=0.1"),
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
			time.Sleep(20 * time.Second)
			require.Len(t, remaining(t, c), 10)
			if n := compactions(t, c); n != 1 {
				return fmt.Sprint(n, " turns")
			}
			return "one turn"
		},
	},
	{
		config: "min.cleanable.dirty.ratio", value: "1", without: 2, with: 10, beside: compactSoon,
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "k", "k", "k", "k", "k", "k", "k", "k", "k", "k")
			time.Sleep(20 * time.Second)
			return len(remaining(t, c))
		},
	},
	{
		config: "min.compaction.lag.ms", value: "3600000", without: 2, with: 10, beside: compactSoon,
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "k", "k", "k", "k", "k", "k", "k", "k", "k", "k")
			time.Sleep(20 * time.Second)
			return len(remaining(t, c))
		},
	},
	{
		config: "max.compaction.lag.ms", value: "60000", without: 3, with: 2, beside: []string{"cleanup.policy=compact", "min.cleanable.dirty.ratio=1"},
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "k", "k")
			time.Sleep(2 * time.Minute)
			updates(t, c, "k")
			time.Sleep(20 * time.Second)
			return len(remaining(t, c))
		},
	},
	{
		config: "delete.retention.ms", value: "1000", without: "the tombstone stays", with: "the tombstone goes", beside: compactSoon,
		look: func(t *testing.T, c *brokertest.C) any {
			updates(t, c, "k", "k")
			require.NoError(t, write(t, c, &kgo.Record{Key: []byte("k")}))
			updates(t, c, "a", "b", "c")
			time.Sleep(20 * time.Second)
			updates(t, c, "d", "e", "f", "a", "b", "c", "d", "e", "f", "g")
			time.Sleep(20 * time.Second)
			for _, r := range remaining(t, c) {
				if r.Value == nil {
					return "the tombstone stays"
				}
				require.NotEqual(t, "k", string(r.Key))
			}
			return "the tombstone goes"
		},
	},
}

// updates writes a batch of a little more than 500 bytes for each key.
func updates(t *testing.T, c *brokertest.C, keys ...string) {
	t.Helper()
	for _, key := range keys {
		require.NoError(t, write(t, c, kgo.KeyStringRecord(key, strings.Repeat("x", 450))))
	}
}

// remaining reads all that is left of the records that were written.
func remaining(t testing.TB, c *brokertest.C) (records []*kgo.Record) {
	t.Helper()
	end := c.Partition("orders", 0).HighWatermark
	cl := client(t, c, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for next := int64(0); next < end; {
		fetches := cl.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		for _, r := range fetches.Records() {
			require.GreaterOrEqual(t, r.Offset, next)
			next = r.Offset + 1
			records = append(records, r)
		}
	}
	return records
}

// compactions counts those that there were.
func compactions(t testing.TB, c *brokertest.C) (n int) {
	last := c.Snapshot().Seq
	for e := range c.Events(t.Context(), 0) {
		if e.Kind == event.LogCompacted {
			n++
		}
		if e.Seq >= last {
			break
		}
	}
	return n
}

// What a compacted topic cannot keep apart it does not take.
func TestACompactedTopicAsksForKeys(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Coordinators(1), brokersim.Topic("orders", 1, 1, compactSoon...))
		require.Equal(t, "INVALID_RECORD", refusal(write(t, c, kgo.StringRecord("x"))))
		require.NoError(t, write(t, c, kgo.KeyStringRecord("k", "x")))
	})
}

// With compact,delete old segments go too.
func TestACompactedTopicMayForget(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Coordinators(1),
			brokersim.Topic("orders", 1, 1, "cleanup.policy=compact,delete", "segment.bytes=2000", "retention.ms=60000"))
		updates(t, c, "a", "b", "c", "a", "b", "c", "d", "e", "f", "g")
		time.Sleep(20 * time.Second)
		require.Len(t, remaining(t, c), 7)
		require.EqualValues(t, 10, startAfter(t, c, 10*time.Minute))
	})
}
