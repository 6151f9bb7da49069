package partition_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/codec"
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
