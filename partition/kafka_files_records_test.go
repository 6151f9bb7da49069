package partition_test

import (
	"encoding/binary"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

// recordsIn unpacks a batch with kmsg's decoder.
func recordsIn(t *testing.T, batch partition.Batch) (records []kafkaRecord) {
	t.Helper()
	require.Equal(t, batch.CRC(), batch.Checksum())
	var k kmsg.RecordBatch
	require.NoError(t, k.ReadFrom(batch))
	rest, err := new(codec.Decoder).Decompress(batch.Codec(), k.Records)
	require.NoError(t, err)
	for range k.NumRecords {
		size, n := binary.Varint(rest)
		var r kmsg.Record
		require.NoError(t, r.ReadFrom(rest[:n+int(size)]))
		rest = rest[n+int(size):]
		out := kafkaRecord{
			Offset: k.FirstOffset + int64(r.OffsetDelta), Timestamp: k.FirstTimestamp + r.TimestampDelta64, Epoch: k.PartitionLeaderEpoch,
			Key: text(r.Key), Value: text(r.Value),
		}
		if batch.LogAppendTime() {
			out.Timestamp = k.MaxTimestamp
		}
		for _, h := range r.Headers {
			out.Headers = append(out.Headers, kafkaHeader{h.Key, h.Value})
		}
		records = append(records, out)
	}
	require.Empty(t, rest)
	return records
}

// text is nil for null.
func text(b []byte) *string {
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// The files have in them what they are there for.
func TestKafkasFilesHaveEverything(t *testing.T) {
	seen := map[string]int{}
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		names, err := disk.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			b, err := vfs.ReadFile(disk, path.Join(dir, name))
			require.NoError(t, err)
			_, kind, _ := strings.Cut(name, ".")
			seen["."+kind]++
			if path.Ext(name) != ".log" {
				continue
			}
			count(seen, len(b) == 0 && strings.TrimLeft(name, "0.log") != "", "segment without records")
			for batch := range partition.Batches(b) {
				seen[batch.Codec().String()]++
				count(seen, batch.Control(), "control")
				count(seen, batch.Transactional() && !batch.Control(), "transactional")
				count(seen, batch.LogAppendTime(), "LogAppendTime")
				count(seen, batch.Count() == 0, "without records")
				count(seen, int64(batch.Count()) < int64(batch.LastOffsetDelta())+1, "with gaps")
				count(seen, batch.Attributes()&(1<<6) != 0 && !batch.Control(), "delete horizon")
				count(seen, batch.Count() > 5, "many records")
				for _, r := range recordsIn(t, batch) {
					count(seen, r.Value == nil && k.compacted(), "tombstone")
					count(seen, r.Key == nil, "no key")
					count(seen, r.Value != nil && *r.Value == "", "empty value")
					count(seen, len(r.Headers) > 2 && r.Headers[1].Value == nil && r.Headers[2].Value != nil, "headers")
				}
			}
		}
	})
	for _, what := range []string{
		".log", ".index", ".timeindex", ".txnindex", ".snapshot", ".log.deleted", "none", "gzip", "snappy", "lz4", "zstd", "control", "transactional",
		"LogAppendTime", "without records", "with gaps", "delete horizon", "many records", "tombstone", "no key", "empty value", "headers", "segment without records",
	} {
		require.Positive(t, seen[what], what)
	}
	t.Log(seen)
}

func count(seen map[string]int, yes bool, what string) {
	if yes {
		seen[what]++
	}
}
