package partition_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

func TestABatchSaysWhatItWasMadeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOf(rapid.Byte()))
		var made []partition.KeyValue
		for i := range rapid.IntRange(1, 200).Draw(t, "records") {
			made = append(made, partition.KeyValue{
				Offset: int64(i), Timestamp: 12345, Key: field.Draw(t, "key"), Value: field.Draw(t, "value"),
			})
		}
		b := partition.BatchOf(made, 12345)
		require.Equal(t, b.Checksum(), b.CRC())
		require.EqualValues(t, len(b), b.Size())
		var read []partition.KeyValue
		for kv, err := range partition.KeyValues(b) {
			require.NoError(t, err)
			read = append(read, kv)
		}
		require.Equal(t, made, read)
	})
}

// Packed by a client, and among control batches.
func TestKeyValuesOfAClientsBatches(t *testing.T) {
	spec := batchtest.Spec{BaseOffset: 7, Codec: codec.ZSTD, Records: []batchtest.Record{
		{Key: []byte("k"), Value: []byte("v"), Timestamp: 5}, {Key: []byte("gone")},
	}}
	control := batchtest.Spec{Control: true, Transactional: true, Records: batchtest.Values("x")}
	var read []partition.KeyValue
	for kv, err := range partition.KeyValues(append(control.Bytes(), spec.Bytes()...)) {
		require.NoError(t, err)
		read = append(read, kv)
	}
	require.Equal(t, []partition.KeyValue{
		{Offset: 7, Timestamp: 5, Key: []byte("k"), Value: []byte("v")},
		{Offset: 8, Timestamp: batchtest.Timestamp, Key: []byte("gone")},
	}, read)

	broken := spec.Bytes()
	broken[len(broken)-3] ^= 0xff
	var last error
	for _, err := range partition.KeyValues(broken) {
		last = err
	}
	require.Error(t, last)
}
