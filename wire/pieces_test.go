package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A response in pieces is, byte for byte, the one that kmsg writes in one.
func TestPiecesAreTheFrame(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := new(letter) // used again, as by a connection
	most := kmsg.NewPtrFetchResponse().MaxVersion()
	for version := int16(0); version <= most; version++ {
		for range 30 {
			resp := fetched(rng)
			resp.Version = version
			want := AppendResponse(nil, 77, resp)
			whole := total(resp)
			require.NoError(t, l.write(Header{Key: 1, Version: version, CorrelationID: 77}, resp))
			require.Equal(t, want, bytes.Join(l.pieces, nil), "version %d", version)
			require.Equal(t, whole, total(resp), "the response is as it was")
			if whole >= spliced {
				require.Greater(t, len(l.pieces), 1)
				require.Less(t, len(l.head), len(want)-whole+spliced, "the records are not in it")
			}
		}
	}
}

func total(resp *kmsg.FetchResponse) (n int) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			n += len(p.RecordBatches)
		}
	}
	return n
}

// fetched is a response with topics, partitions, aborted transactions and records of
// all sizes, null and none among them.
func fetched(rng *rand.Rand) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.SessionID = rng.Int32()
	for range rng.IntN(4) {
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = "orders", [16]byte{byte(rng.Int32())}
		for range rng.IntN(4) {
			p := kmsg.NewFetchResponseTopicPartition()
			p.HighWatermark = rng.Int64()
			switch rng.IntN(4) {
			case 0:
				p.RecordBatches = []byte{}
			case 1:
				p.RecordBatches = make([]byte, rng.IntN(200))
			default:
				p.RecordBatches = make([]byte, rng.IntN(40_000))
			}
			for i := range p.RecordBatches {
				p.RecordBatches[i] = byte(rng.Int32())
			}
			for range rng.IntN(3) {
				p.AbortedTransactions = append(p.AbortedTransactions, kmsg.NewFetchResponseTopicPartitionAbortedTransaction())
			}
			if rng.IntN(3) == 0 {
				p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 3, 4
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if rng.IntN(2) == 0 {
		resp.Brokers = append(resp.Brokers, kmsg.NewFetchResponseBroker())
	}
	return resp
}

// A buffer serves what it has room for, and comes back to those who need that much.
func TestBuffersComeBackBySize(t *testing.T) {
	for i, room := range bufferSizes {
		require.Equal(t, room, roomFor(room))
		if i > 0 {
			require.Equal(t, room, roomFor(bufferSizes[i-1]+1))
		}
	}
	b := make([]byte, 10, 300<<10)
	giveBuffer(&b)
	for range 100 { // a pool may forget, but never mistakes one size for another
		require.Less(t, cap(*takeBuffer(0)), 1<<10)
	}
	if got := takeBuffer(200 << 10); cap(*got) > 0 {
		require.GreaterOrEqual(t, cap(*got), 200<<10)
		require.Empty(t, *got)
	}
}
