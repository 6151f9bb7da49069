package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// seeds adds a real encoding of every key in its oldest and newest version,
// empty and full.
func seeds(add func(frame []byte)) {
	id := "seed"
	for key := range int16(100) {
		for _, newest := range []bool{false, true} {
			for _, full := range []bool{false, true} {
				req := kmsg.RequestForKey(key)
				if req == nil {
					continue
				}
				if full {
					fill(req)
				}
				if newest {
					req.SetVersion(req.MaxVersion())
				} else {
					req.SetVersion(0)
				}
				add(AppendRequest(nil, Header{CorrelationID: int32(key), ClientID: &id}, req))
			}
		}
	}
}

// FuzzFrame sends any bytes to a server. Whatever they are, the server answers
// or hangs up, and Close joins everything.
func FuzzFrame(f *testing.F) {
	seeds(func(frame []byte) { f.Add(frame) })
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		inBubble(t, ServerConfig{MaxRequestBytes: 1 << 20, Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
			return Reply{Response: ErrorAnswer(r.Body, 3)}
		})}, func(r *rig) {
			nc := r.raw()
			nc.SetDeadline(time.Now().Add(time.Second)) // it may wait for the rest of a frame
			go nc.Write(stream)
			_, err := io.Copy(io.Discard, nc)
			require.True(r.t, err == nil || errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
			nc.Close()
			synctest.Wait()
			require.Empty(r.t, r.server.Conns())
		})
	})
}

// FuzzRequest decodes any header and body. What is understood can be said
// again, and understood again, in the same bytes.
func FuzzRequest(f *testing.F) {
	seeds(func(frame []byte) { f.Add(frame[4:]) })
	f.Add(append([]byte{0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0, 1, 0, 0}, 0xff, 0xff, 0xff, 0xff, 0x0f))
	f.Fuzz(func(t *testing.T, frame []byte) {
		began := time.Now()
		h, req, err := DecodeRequest(frame)
		require.Less(t, time.Since(began), 5*time.Second)
		if err != nil {
			return
		}
		again := AppendRequest(nil, h, req)
		require.Equal(t, len(again)-4, int(binary.BigEndian.Uint32(again)))
		h2, req2, err := DecodeRequest(again[4:])
		require.NoError(t, err)
		require.Equal(t, h, h2)
		require.Equal(t, again, AppendRequest(nil, h2, req2))
		ErrorAnswerFrame(frame, 3)
	})
}

// FuzzResponse decodes any response to a request of any key and version.
func FuzzResponse(f *testing.F) {
	f.Add(int16(1), int16(12), []byte{0, 0, 0, 1, 0})
	f.Add(int16(18), int16(0), []byte{0, 0, 0, 1, 0, 35, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, key, version int16, frame []byte) {
		req := kmsg.RequestForKey(key)
		if req == nil || version < 0 || version > req.MaxVersion() {
			return
		}
		req.SetVersion(version)
		_, _ = DecodeResponse(frame, req.ResponseKind())
	})
}

// FuzzLoan reads any answer to a fetch of any version, of which any part may be lent: it says
// what it would say if nothing was, or is refused as it would be.
func FuzzLoan(f *testing.F) {
	for _, version := range []int16{4, 12, 18} {
		resp := partitions(3)
		resp.Version = version
		frame := AppendResponse(nil, 0, resp)
		at := uint16(bytes.Index(frame, []byte("not looked at")))
		f.Add(version, frame[4:], at, at+13, at+14)
		f.Add(version, frame[4:], uint16(4), uint16(8), at)
		f.Add(version, frame[4:], at-1, at+13, at+100)
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte, first, second, third uint16) {
		req := kmsg.NewPtrFetchRequest()
		if version < 0 || version > req.MaxVersion() {
			return
		}
		req.Version = version
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
		places := []int{int(first), int(second), int(third)}
		for i := range places {
			places[i] = min(places[i], len(frame))
		}
		asWhole(t, req, frame, mixed(frame, places...))
	})
}

// FuzzMetadataBatches reads any bytes as batches of the metadata log.
func FuzzMetadataBatches(f *testing.F) {
	f.Add(append(MetadataBatch(1, 1, []byte("a")), MetadataBatch(2, 1, nil)...))
	f.Fuzz(func(t *testing.T, records []byte) {
		for e, err := range ReadMetadataBatches(records) {
			if err == nil {
				require.LessOrEqual(t, len(e.Payload), len(records))
			}
		}
	})
}
