package wire

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestReadFrame(t *testing.T) {
	body := bytes.Repeat([]byte("kafka"), 100_000)
	whole := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)

	for name, r := range map[string]io.Reader{
		"at once":      bytes.NewReader(whole),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(whole)),
	} {
		got, err := ReadFrame(r, len(body), nil)
		require.NoError(t, err, name)
		require.Equal(t, body, got, name)
		_, err = ReadFrame(r, len(body), nil)
		require.Equal(t, io.EOF, err, "between two frames")
	}
	for cut := 1; cut < len(whole); cut += 70_001 {
		_, err := ReadFrame(bytes.NewReader(whole[:cut]), len(body), nil)
		require.Equal(t, io.ErrUnexpectedEOF, err, "cut off after %d bytes", cut)
	}
	for _, head := range [][]byte{{0, 7, 0xa1, 0x21}, {0xff, 0xff, 0xff, 0xff}} {
		_, err := ReadFrame(bytes.NewReader(head), len(body), nil)
		require.ErrorAs(t, err, new(*FrameError))
	}
}

func TestFrameMemoryFollowsItsBytes(t *testing.T) {
	announced := binary.BigEndian.AppendUint32(nil, 100<<20)
	few := append(announced, make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadFrame(bytes.NewReader(few), DefaultMaxRequestBytes, nil)
	runtime.ReadMemStats(&after)
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestFrameUsesMemoryAgain(t *testing.T) {
	frame := append([]byte{0, 0, 0, 3}, "abc"...)
	old := make([]byte, 0, 100)
	got, err := ReadFrame(bytes.NewReader(frame), 100, old)
	require.NoError(t, err)
	require.Same(t, &old[:1][0], &got[0])
}

// TestHeadersAgreeWithKmsg compares our header with the client's own encoder,
// for every key and version.
func TestHeadersAgreeWithKmsg(t *testing.T) {
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID("me"))
	id := "me"
	forEveryVersion(func(req kmsg.Request) {
		if req.Key() == 7 && req.GetVersion() == 0 {
			return // a header of its own, of a request that no broker takes today
		}
		want := format.AppendRequest(nil, req, 77)
		require.Equal(t, want, AppendRequest(nil, Header{CorrelationID: 77, ClientID: &id}, req))

		h, _, ok, err := ParseHeader(want[4:])
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, Header{Key: req.Key(), Version: req.GetVersion(), CorrelationID: 77, ClientID: &id}, h)

		h, got, err := DecodeRequest(want[4:])
		require.NoError(t, err, "%s v%d", keyName(h.Key), h.Version)
		require.Equal(t, want, AppendRequest(nil, h, got))
	})
}

func TestResponsesGoThereAndBack(t *testing.T) {
	forEveryVersion(func(req kmsg.Request) {
		resp := req.ResponseKind()
		fill(resp)
		resp.SetVersion(req.GetVersion())
		frame := AppendResponse(nil, 9, resp)
		got := req.ResponseKind()
		id, err := DecodeResponse(frame[4:], got)
		require.NoError(t, err, "%s v%d", keyName(req.Key()), req.GetVersion())
		require.Equal(t, int32(9), id)
		require.Equal(t, frame, AppendResponse(nil, 9, got))
	})
}

// forEveryVersion calls f with a request of each key and version, filled with
// something in every field.
func forEveryVersion(f func(kmsg.Request)) {
	for key := range int16(200) {
		req := kmsg.RequestForKey(key)
		if req == nil {
			continue
		}
		for version := range req.MaxVersion() + 1 {
			req := kmsg.RequestForKey(key)
			fill(req)
			req.SetVersion(version)
			f(req)
		}
	}
}
