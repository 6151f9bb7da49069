package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

func TestMetadataBatches(t *testing.T) {
	var records []byte
	want := []MetadataEntry{
		{Offset: 7, Term: 1, Payload: []byte("first")},
		{Offset: 9, Term: 2, Payload: make([]byte, 100_000)}, // gaps are legal
		{Offset: 10, Term: 2, Payload: []byte("third")},
	}
	for _, e := range want {
		records = append(records, MetadataBatch(e.Offset, e.Term, e.Payload)...)
	}
	var got []MetadataEntry
	for e, err := range ReadMetadataBatches(records) {
		require.NoError(t, err)
		got = append(got, e)
	}
	require.Equal(t, want, got)

	t.Run("a client can read them", func(t *testing.T) {
		part := kmsg.FetchResponseTopicPartition{RecordBatches: MetadataBatch(7, 1, []byte("first")), HighWatermark: 8}
		fetched, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t", Offset: 7}, &part, kgo.DefaultDecompressor(), nil)
		require.NoError(t, fetched.Err)
		require.Len(t, fetched.Records, 1)
		require.Equal(t, "first", string(fetched.Records[0].Value))
	})
	t.Run("damage is found", func(t *testing.T) {
		whole := MetadataBatch(7, 1, []byte("first"))
		for i := range whole {
			if i < batchLengthAt || i >= batchEpochAt && i < batchMagicAt {
				continue // not covered by the CRC: a broker patches them
			}
			bad := append([]byte(nil), whole...)
			bad[i] ^= 0x40
			for _, err := range ReadMetadataBatches(bad) {
				require.ErrorIs(t, err, metadata.ErrCorruptMessage, "byte %d", i)
			}
		}
		for cut := 1; cut < len(whole); cut++ {
			for _, err := range ReadMetadataBatches(whole[:cut]) {
				require.ErrorIs(t, err, metadata.ErrCorruptMessage, "cut at %d", cut)
			}
		}
	})
}

func TestErrorAnswer(t *testing.T) {
	produce := kmsg.NewPtrProduceRequest()
	produce.Version = 9
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: 3}, {Partition: 4}}}}
	got := ErrorAnswer(produce, 6).(*kmsg.ProduceResponse)
	require.Equal(t, "orders", got.Topics[0].Topic)
	require.Equal(t, int32(4), got.Topics[0].Partitions[1].Partition)
	require.Equal(t, int16(6), got.Topics[0].Partitions[1].ErrorCode)
	require.Equal(t, int16(9), got.Version)

	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version = 13
	fetch.Topics = []kmsg.FetchRequestTopic{{TopicID: [16]byte{5}, Partitions: []kmsg.FetchRequestTopicPartition{{Partition: 1}}}}
	fetched := ErrorAnswer(fetch, 56).(*kmsg.FetchResponse)
	require.Equal(t, int16(56), fetched.ErrorCode)
	require.Equal(t, [16]byte{5}, fetched.Topics[0].TopicID)
	require.Equal(t, int16(56), fetched.Topics[0].Partitions[0].ErrorCode)

	forEveryVersion(func(req kmsg.Request) { // no shape of request makes it panic
		frame := AppendRequest(nil, Header{CorrelationID: 5}, req)
		answer := ErrorAnswerFrame(frame[4:], 3)
		id, err := DecodeResponse(answer, ErrorAnswer(req, 3))
		require.NoError(t, err)
		require.Equal(t, int32(5), id)
	})
}
