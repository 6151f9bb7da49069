package partition

import (
	"math"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// Config is what a log is told of its topic, with the names of Kafka's configs.
// A zero means Kafka's default; ConfigOf says 1 for a zero that was meant, which
// comes to the same: a byte, or less than a millisecond.
type Config struct {
	SegmentBytes       int           // segment.bytes: a segment is rolled before it grows above this
	SegmentTime        time.Duration // segment.ms: a segment is rolled when it is older than this
	IndexIntervalBytes int           // index.interval.bytes: between two entries of the offset index
	SegmentIndexBytes  int           // segment.index.bytes: a segment is rolled when its index is as large
	MaxMessageBytes    int           // max.message.bytes: of a batch from a client, as it is stored
	CompressionType    string        // compression.type: "producer" leaves batches as they came

	Compacted     bool // cleanup.policy has compact: records need keys, and a leader may leave offsets out
	LogAppendTime bool // message.timestamp.type: the leader's clock decides, not the client's

	TimestampBeforeMax time.Duration // message.timestamp.before.max.ms
	TimestampAfterMax  time.Duration // message.timestamp.after.max.ms

	// flush.messages: while so many offsets are written and not synced, a sync is
	// owed, and nothing more is shown before it; see tip.
	FlushMessages int64
	FlushInterval time.Duration // flush.ms; the owner's to keep, by calling Sync

	ProducerIDExpiration time.Duration // producer.id.expiration.ms

	// Tails bounds the memory of the tails of several logs; nil is no bound.
	Tails *Tails

	// TopicID is kept in partition.metadata. Zero neither writes nor checks it.
	TopicID metadata.UUID
}

// ConfigOf returns what a topic's configs mean for its logs. The expiration of
// producer ids is a broker's config and the topic id none at all: the caller adds
// them. A compacted topic's max.compaction.lag.ms rolls segments too (KIP-354): the
// active one cannot be compacted.
func ConfigOf(t metadata.TopicConfig) Config {
	roll := t.SegmentTime
	if t.CleanupPolicy.Compact() {
		roll = min(roll, t.MaxCompactionLag)
	}
	return Config{
		SegmentBytes:       t.SegmentBytes,
		SegmentTime:        max(1, roll),
		IndexIntervalBytes: max(1, t.IndexIntervalBytes),
		SegmentIndexBytes:  t.SegmentIndexBytes,
		MaxMessageBytes:    max(1, t.MaxMessageBytes),
		CompressionType:    t.CompressionType,
		Compacted:          t.CleanupPolicy.Compact(),
		LogAppendTime:      t.LogAppendTime,
		TimestampBeforeMax: max(1, t.TimestampBeforeMax),
		TimestampAfterMax:  max(1, t.TimestampAfterMax),
		FlushMessages:      t.FlushMessages,
		FlushInterval:      t.FlushInterval,
	}
}

func (c Config) withDefaults() Config {
	c.SegmentBytes = min(positive(c.SegmentBytes, 1<<30), math.MaxInt32)
	c.SegmentTime = positive(c.SegmentTime, 7*24*time.Hour)
	c.IndexIntervalBytes = positive(c.IndexIntervalBytes, 4096)
	c.SegmentIndexBytes = positive(c.SegmentIndexBytes, 10<<20)
	c.MaxMessageBytes = positive(c.MaxMessageBytes, 1<<20+12)
	c.TimestampBeforeMax = positive(c.TimestampBeforeMax, math.MaxInt64)
	c.TimestampAfterMax = positive(c.TimestampAfterMax, math.MaxInt64)
	c.FlushMessages = positive(c.FlushMessages, math.MaxInt64)
	c.ProducerIDExpiration = positive(c.ProducerIDExpiration, 24*time.Hour)
	return c
}

func positive[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}
