package broker

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

// batchOf is a record batch as a client sends it; change alters it before its
// CRC is computed.
func batchOf(values []string, change ...func(*kmsg.RecordBatch)) []byte {
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{
		Magic: 2, LastOffsetDelta: int32(len(values) - 1), NumRecords: int32(len(values)), PartitionLeaderEpoch: -1,
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	for i, v := range values {
		r := kmsg.Record{OffsetDelta: int32(i), Value: []byte(v)}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // of what follows the length: 0, one byte
		b.Records = r.AppendTo(b.Records)
	}
	for _, f := range change {
		f(&b)
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

func one(value string) []byte { return batchOf([]string{value}) }

// valuesOf is the values of all records in whole batches, with a check that
// offsets are dense; and the offset after them.
func valuesOf(t *testing.T, records []byte) (values []string, next int64) {
	t.Helper()
	next = -1
	for len(records) >= 12 {
		size := 12 + int(binary.BigEndian.Uint32(records[8:]))
		if len(records) < size {
			break
		}
		var b kmsg.RecordBatch
		require.NoError(t, b.ReadFrom(records[:size]))
		if next >= 0 {
			require.Equal(t, next, b.FirstOffset)
		}
		body := b.Records
		for range b.NumRecords {
			length, n := binary.Varint(body)
			var r kmsg.Record
			require.NoError(t, r.ReadFrom(body[:n+int(length)]))
			values = append(values, string(r.Value))
			body = body[n+int(length):]
		}
		next = b.FirstOffset + int64(b.LastOffsetDelta) + 1
		records = records[size:]
	}
	return values, next
}

func TestBatchOfIsWhatItReads(t *testing.T) {
	long := strings.Repeat("x", 300)
	values, next := valuesOf(t, batchOf([]string{"a", "", long}))
	require.Equal(t, []string{"a", "", long}, values)
	require.EqualValues(t, 3, next)
}

// produceRequest asks for one batch to be appended.
func produceRequest(version int16, topic string, id [16]byte, partition int32, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: records}}}}
	return req
}

// produced1 sends it and returns the one answer.
func produced1(t *testing.T, client *wire.Client, req *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	resp := ask[*kmsg.ProduceResponse](t, client, req)
	require.Len(t, resp.Topics, 1)
	require.Len(t, resp.Topics[0].Partitions, 1)
	return resp.Topics[0].Partitions[0]
}

// mustProduce appends values to partition 0, a batch for each, with acks=all.
func mustProduce(t *testing.T, client *wire.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		a := produced1(t, client, produceRequest(9, topic, [16]byte{}, 0, -1, one(v)))
		require.Zero(t, a.ErrorCode, "%v", a.ErrorMessage)
	}
}

// appendFrame is a request as it goes over the wire.
func appendFrame(correlation int32, req kmsg.Request) []byte {
	return wire.AppendRequest(nil, wire.Header{Key: req.Key(), Version: req.GetVersion(), CorrelationID: correlation}, req)
}

// readFrame reads an answer: its correlation id and its body, if it is not flexible.
func readFrame(t *testing.T, conn net.Conn) (correlation int32, body []byte) {
	t.Helper()
	var head [8]byte
	_, err := io.ReadFull(conn, head[:])
	require.NoError(t, err)
	body = make([]byte, binary.BigEndian.Uint32(head[:])-4)
	_, err = io.ReadFull(conn, body)
	require.NoError(t, err)
	return int32(binary.BigEndian.Uint32(head[4:])), body
}
