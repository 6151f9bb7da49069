package wire

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
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
			require.NoError(t, l.write(Header{Key: 1, Version: version, CorrelationID: 77}, resp, nil))
			require.Equal(t, want, slab.AppendTo(nil, l.pieces), "version %d", version)
			require.Equal(t, whole, total(resp), "the response is as it was")
			if whole >= spliced {
				require.Greater(t, len(l.pieces), 1)
				require.Less(t, len(l.head), len(want)-whole+spliced, "the records are not in it")
			}
		}
	}
}

// Records that come as spans make the same frame, and are not copied if they are many.
func TestSpansAreTheFrame(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	l := new(letter)
	most := kmsg.NewPtrFetchResponse().MaxVersion()
	for version := int16(0); version <= most; version++ {
		for range 30 {
			resp := fetched(rng)
			resp.Version = version
			records := [][]slab.Span{}
			for p := range partitionsOf(resp) {
				records = append(records, spansOf(rng, p.RecordBatches))
				if p.RecordBatches == nil {
					p.RecordBatches = noBytes
				}
			}
			want := AppendResponse(nil, 77, resp)
			for p := range partitionsOf(resp) {
				p.RecordBatches = []byte("not looked at")
			}
			require.NoError(t, l.write(Header{Key: 1, Version: version, CorrelationID: 77}, resp, records))
			require.Equal(t, want, slab.AppendTo(nil, l.pieces), "version %d", version)
			for p := range partitionsOf(resp) {
				require.Equal(t, "not looked at", string(p.RecordBatches), "the response is as it was")
			}
			var all, sent []slab.Span
			for _, r := range records {
				all = append(all, r...)
			}
			for _, s := range l.pieces {
				if s.Shared() {
					sent = append(sent, s)
				}
			}
			if slab.Size(all) < spliced {
				require.Len(t, l.pieces, 1)
				continue
			}
			require.Equal(t, slices.DeleteFunc(all, func(s slab.Span) bool { return !s.Shared() || s.Len() == 0 }), sent)
		}
	}
	err := l.write(Header{Key: 1, Version: 12}, fetched(rng), make([][]slab.Span, 100))
	require.ErrorContains(t, err, "records of 100 partitions")
}

// spansOf cuts b into spans, most of which are shared.
func spansOf(rng *rand.Rand, b []byte) (spans []slab.Span) {
	s := slab.Of(b)
	for at := 0; at < len(b); {
		to := min(len(b), at+1+rng.IntN(10_000))
		span := s.Span(at, to)
		if rng.IntN(5) == 0 {
			span = slab.Borrow(span.Bytes())
		}
		spans = append(spans, span)
		at = to
	}
	return spans
}

// A sink is a connection that keeps what is written. The other ones take it in other ways.
type sink struct {
	net.Conn
	got   bytes.Buffer
	calls int
}

func (s *sink) Write(b []byte) (int, error) {
	s.calls++
	return s.got.Write(b)
}

type pieceSink struct{ sink }

func (s *pieceSink) WritePieces(pieces net.Buffers) error {
	s.calls++
	_, err := pieces.WriteTo(&s.got) // which also empties it
	return err
}

type spanSink struct{ pieceSink }

func (s *spanSink) WriteSpans(spans []slab.Span) error {
	s.calls++
	s.got.Write(slab.AppendTo(nil, spans))
	return nil
}

func TestAFrameIsSentAsTheConnectionLikes(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	l := new(letter)
	for range 30 {
		resp := fetched(rng)
		resp.Version = 12
		want := AppendResponse(nil, 1, resp)
		plain, pieces, spans := new(sink), new(pieceSink), new(spanSink)
		for _, nc := range []net.Conn{plain, pieces, spans} {
			require.NoError(t, l.write(Header{Key: 1, Version: 12, CorrelationID: 1}, resp, nil))
			require.NoError(t, l.send(nc))
		}
		require.Equal(t, want, plain.got.Bytes())
		require.Equal(t, want, pieces.got.Bytes())
		require.Equal(t, want, spans.got.Bytes())
		require.Equal(t, len(l.pieces), plain.calls)
		require.Equal(t, 1, pieces.calls)
		require.Equal(t, 1, spans.calls)
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

// A partition without records says so with empty records: null would fail some clients.
// The first letter that anybody takes knows that, too.
func TestNoRecordsAreNotNull(t *testing.T) {
	for version := int16(0); version <= kmsg.NewPtrFetchResponse().MaxVersion(); version++ {
		resp := kmsg.NewPtrFetchResponse()
		resp.Version = version
		resp.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{kmsg.NewFetchResponseTopicPartition()}}}
		l := new(letter)
		require.NoError(t, l.write(Header{Key: 1, Version: version}, resp, [][]slab.Span{nil}))
		got := kmsg.NewPtrFetchResponse()
		got.Version = version
		_, err := DecodeResponse(slab.AppendTo(nil, l.pieces)[4:], got)
		require.NoError(t, err)
		require.NotNil(t, got.Topics[0].Partitions[0].RecordBatches, "version %d", version)
	}
}
