package wire

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// sharedRecords is a stretch of shared memory with different bytes.
func sharedRecords(n int) slab.Span {
	s := slab.New(n)
	for i := range s.Memory() {
		s.Memory()[i] = byte(rand.Uint32())
	}
	return s.Span(0, n)
}

// partitions makes a response with so many partitions, in two topics.
func partitions(n int) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.Topics = make([]kmsg.FetchResponseTopic, 2)
	for i := range n {
		p := kmsg.NewFetchResponseTopicPartition() // its PreferredReadReplica is -1: ff ff ff ff before the records
		p.Partition, p.RecordBatches = int32(i), []byte("not looked at")
		t := &resp.Topics[i*2/n]
		t.Partitions = append(t.Partitions, p)
	}
	return resp
}

// Over a memory connection, what the handler shares is what the client gets.
func TestRecordsArriveInTheSameMemory(t *testing.T) {
	one, two, large := sharedRecords(10_000), sharedRecords(3_000), sharedRecords(1<<20)
	single, copied := sharedRecords(1), []byte("copied")
	records := [][]slab.Span{
		{one}, nil, {large.Cut(0, 100), large.Cut(100, 500_000)}, {slab.Borrow(copied)}, {single}, {two, one, two},
		{slab.Borrow(copied), one}, {one.Cut(0, 200)}, {large}, {{}, two, {}},
	}
	handler := HandlerFunc(func(_ context.Context, r *Request) Reply {
		return Reply{Response: partitions(len(records)), Records: records}
	})
	inBubble(t, ServerConfig{Handler: handler, Versions: anyVersion}, func(r *rig) {
		t := r.t
		client := NewClient(ClientConfig{Dial: r.dial, OneAtATime: true})
		defer client.Close()
		many := NewClient(ClientConfig{Dial: r.dial})
		defer many.Close()
		for _, version := range []int16{4, 11, 12, 18, 18} {
			req := &kmsg.FetchRequest{Version: version}
			got, err := client.Borrow(t.Context(), req, 0)
			require.NoError(t, err)
			require.Len(t, got.Records, len(records))
			for i, want := range records {
				require.Equal(t, slab.AppendTo(nil, want), slab.AppendTo(nil, got.Records[i]), "partition %d", i)
			}
			require.Equal(t, []slab.Span{one}, got.Records[0])
			require.Equal(t, []slab.Span{large.Cut(0, 500_000)}, got.Records[2], "of one piece again")
			require.Equal(t, []slab.Span{two, one, two}, got.Records[5])
			require.Equal(t, []slab.Span{large}, got.Records[8])
			require.Equal(t, []slab.Span{two}, got.Records[9])
			for i, same := range map[int][]byte{0: one.Bytes(), 2: large.Bytes(), 8: large.Bytes()} {
				require.Same(t, &same[0], &got.Records[i][0].Bytes()[0])
			}
			for _, i := range []int{1, 3, 4, 6, 7} { // none, one byte, borrowed, too few
				require.Len(t, got.Records[i], 1)
				require.False(t, got.Records[i][0].Shared())
			}
			got.GiveBack()

			other, err := many.Borrow(t.Context(), req, 0)
			require.NoError(t, err)
			whole, err := client.Do(t.Context(), req)
			require.NoError(t, err)
			i := 0
			for p := range partitionsOf(whole.(*kmsg.FetchResponse)) {
				want := slab.AppendTo([]byte{}, records[i])
				require.Equal(t, want, p.RecordBatches, "Do has them in the response")
				require.Equal(t, want, slab.AppendTo([]byte{}, other.Records[i]))
				i++
			}
			other.GiveBack()
		}
	})
}

// A span may hold the end of one frame and the beginning of the next, and records of one
// byte are not taken for what stands for others.
func TestFramesInSpans(t *testing.T) {
	resp := partitions(4)
	resp.Version = 12
	for p := range partitionsOf(resp) {
		p.RecordBatches = []byte{7}
	}
	frame := AppendResponse(nil, 1, resp)
	var stream []byte
	for range 3 {
		stream = append(stream, frame...)
	}
	want := kmsg.NewPtrFetchResponse()
	want.Version = 12
	_, err := DecodeResponse(frame[4:], want)
	require.NoError(t, err)
	for at := range len(stream) - 1 {
		got, err := readLent(&kmsg.FetchRequest{Version: 12}, mixed(stream, at, min(at+len(frame)+1, len(stream))))
		require.Equal(t, io.EOF, err)
		require.Len(t, got, 3)
		for _, b := range got {
			requireSame(t, want, b)
		}
	}
	for at := 1; at < len(frame); at++ { // cut off
		_, err := readLent(&kmsg.FetchRequest{Version: 12}, mixed(frame[:at], at/2, at))
		require.Equal(t, io.ErrUnexpectedEOF, err)
	}
}

// A handler may give the response later than the records; a handler that miscounts them, and
// one whose answer cannot be read, lose the connection.
func TestRecordsOfALaterReply(t *testing.T) {
	s := sharedRecords(10_000)
	partitionsSaid := 1
	handler := HandlerFunc(func(_ context.Context, r *Request) Reply {
		return Reply{Records: [][]slab.Span{{s}}, Later: func() kmsg.Response { return partitions(partitionsSaid) }}
	})
	inBubble(t, ServerConfig{Handler: handler, Versions: anyVersion}, func(r *rig) {
		client := NewClient(ClientConfig{Dial: r.dial, OneAtATime: true})
		defer client.Close()
		got, err := client.Borrow(r.t.Context(), &kmsg.FetchRequest{Version: 12}, 0)
		require.NoError(r.t, err)
		require.Equal(r.t, [][]slab.Span{{s}}, got.Records)
		partitionsSaid = 2
		_, err = client.Borrow(r.t.Context(), &kmsg.FetchRequest{Version: 12}, 0)
		require.ErrorIs(r.t, err, io.ErrUnexpectedEOF)
	})
}

// Who asked is known by the first bytes, lent or not.
func TestAnAnswerMayBeLentFromItsBeginning(t *testing.T) {
	resp := partitions(1)
	resp.Version = 12
	for id, wants := range map[int32]string{0: "", 1: "correlation id 1"} {
		frame := AppendResponse(nil, id, resp)
		for at := range 12 {
			nc := &script{spans: mixed(frame, at, len(frame))}
			client := NewClient(ClientConfig{OneAtATime: true, Dial: func(context.Context) (net.Conn, error) { return nc, nil }})
			got, err := client.Borrow(t.Context(), &kmsg.FetchRequest{Version: 12}, 0)
			if wants != "" {
				require.ErrorContains(t, err, wants)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, "not looked at", string(slab.AppendTo(nil, got.Records[0])))
		}
	}
}

func TestLentFramesHaveLimits(t *testing.T) {
	for _, length := range []uint32{maxResponseBytes + 1, 1 << 31} {
		frame := binary.BigEndian.AppendUint32(nil, length)
		_, err := readLent(&kmsg.FetchRequest{Version: 12}, mixed(frame, 0))
		require.ErrorAs(t, err, new(*FrameError))
	}
	spans := mixed(append(binary.BigEndian.AppendUint32(nil, 200<<20), make([]byte, 10_000)...), 5_000, 9_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readLent(&kmsg.FetchRequest{Version: 12}, spans)
	runtime.ReadMemStats(&after)
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// An answer to anything else is copied, also where it is lent.
func TestOtherAnswersAreCopied(t *testing.T) {
	req := &kmsg.MetadataRequest{Version: 9}
	resp := req.ResponseKind()
	fill(resp)
	resp.SetVersion(9)
	frame := AppendResponse(nil, 0, resp)
	for at := range frame {
		asWhole(t, req, frame, mixed(frame, at, min(at+20, len(frame))))
		got, err := readFrame(&lentReader{from: &script{spans: mixed(frame, at, min(at+20, len(frame)))}}, 1<<20, new([4]byte))
		require.NoError(t, err)
		require.Equal(t, frame[4:], *got)
	}
}
