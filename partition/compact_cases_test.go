package partition_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// keyed makes records of words: "k=v" is a key and a value, "k!" a tombstone, "=v" a
// value without a key.
func keyed(words ...string) (records []batchtest.Record) {
	for _, word := range words {
		var r batchtest.Record
		key, value, ok := strings.Cut(word, "=")
		if ok {
			r.Value = []byte(value)
		}
		if key != "" {
			r.Key = []byte(strings.TrimSuffix(key, "!"))
		}
		records = append(records, r)
	}
	return records
}

// words is what is in a log, each record behind its offset.
func words(t testing.TB, l *partition.Log) (all []string) {
	t.Helper()
	b, err := l.Read(nil, l.LogStartOffset(), math.MaxInt64, math.MaxInt32, true)
	require.NoError(t, err)
	next := int64(0)
	for batch := range partition.Batches(b) {
		require.GreaterOrEqual(t, batch.BaseOffset(), next, "offsets only grow")
		next = batch.NextOffset()
		b = b[len(batch):]
		for _, r := range recordsOf(t, batch) {
			value := "=" + string(r.Value)
			if r.Value == nil {
				value = "!"
			}
			all = append(all, fmt.Sprintf("%d:%s%s", r.offset, r.Key, value))
		}
	}
	require.Empty(t, b)
	return all
}

// A placed record is one with its offset and its time.
type placed struct {
	kmsg.Record
	offset, ms int64
}

func recordsOf(t require.TestingT, batch partition.Batch) (all []placed) {
	require.Equal(t, batch.CRC(), batch.Checksum())
	rest, err := new(codec.Decoder).Decompress(batch.Codec(), batch.Records())
	require.NoError(t, err)
	for range batch.Count() {
		size, n := binary.Varint(rest)
		var r kmsg.Record
		require.NoError(t, r.ReadFrom(rest[:n+int(size)]))
		ms := batch.BaseTimestamp() + r.TimestampDelta64
		if batch.LogAppendTime() {
			ms = batch.MaxTimestamp()
		}
		all = append(all, placed{r, batch.BaseOffset() + int64(r.OffsetDelta), ms})
		rest = rest[n+int(size):]
	}
	require.Empty(t, rest)
	return all
}

// segments appends a segment for each list of batches; the last is the active one.
func segments(t testing.TB, disk vfs.FS, lists ...[]batchtest.Spec) *partition.Log {
	t.Helper()
	l := open(t, disk, partition.Config{})
	for _, specs := range lists {
		for i, s := range specs {
			appendSpec(t, l, s, i == 0)
		}
	}
	return l
}

// appendSpec appends a batch, which begins a segment if roll says so.
func appendSpec(t testing.TB, l *partition.Log, s batchtest.Spec, roll bool) {
	t.Helper()
	if roll {
		l.SetConfig(partition.Config{SegmentBytes: 1})
		defer l.SetConfig(partition.Config{})
	}
	s.BaseOffset = l.LogEndOffset()
	_, err := l.AppendAsFollower(s.Bytes(), math.MaxInt32)
	require.NoError(t, err)
}

// batch is one of epoch 0.
func batch(words ...string) batchtest.Spec { return batchtest.Spec{Records: keyed(words...)} }

func list(specs ...batchtest.Spec) []batchtest.Spec { return specs }

// compact compacts everything below the log's end.
func compact(t testing.TB, l *partition.Log, at time.Time, how partition.Compaction) partition.Compacted {
	t.Helper()
	how.Committed = l.LogEndOffset()
	done, err := partition.NewCleaner(1<<20).Compact(l, at, how)
	require.NoError(t, err)
	return done
}
