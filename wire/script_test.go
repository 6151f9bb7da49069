package wire

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// A script is a connection that says what a test wants: spans that are shared are lent,
// the bytes of all other ones are read.
type script struct {
	net.Conn
	spans []slab.Span
}

func (s *script) Write(b []byte) (int, error) { return len(b), nil }
func (s *script) Close() error                { return nil }
func (s *script) SetDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

func (s *script) ReadSpan(b []byte) (n int, lent slab.Span, err error) {
	if len(s.spans) == 0 {
		return 0, lent, io.EOF
	}
	first := s.spans[0]
	if first.Shared() {
		s.spans = s.spans[1:]
		return 0, first, nil
	}
	if n = copy(b, first.Bytes()); n == first.Len() {
		s.spans = s.spans[1:]
	} else {
		s.spans[0] = first.Cut(n, first.Len())
	}
	return n, lent, nil
}

// mixed cuts b at places, and lends every second part. Empty parts are left out.
func mixed(b []byte, places ...int) (spans []slab.Span) {
	s, at := slab.Of(b), 0
	for i, to := range append(places, len(b)) {
		if to > at {
			if part := s.Span(at, to); i%2 == 1 {
				spans = append(spans, part)
			} else {
				spans = append(spans, slab.Borrow(part.Bytes()))
			}
			at = to
		}
	}
	return spans
}

// readLent reads and decodes frames of answers to req, each without its loan's predecessor.
func readLent(req kmsg.Request, spans []slab.Span) (all []Borrowed, err error) {
	r := &lentReader{from: &script{spans: spans}}
	for {
		l := new(loan)
		frame, err := l.read(r, maxResponseBytes, new([4]byte))
		if err != nil {
			return all, err
		}
		b, err := l.decode(req, frame)
		if err != nil {
			return all, err
		}
		all = append(all, b)
	}
}

// asWhole requires that an answer in spans is read as what it is, and returns its records.
func asWhole(t *testing.T, req kmsg.Request, frame []byte, spans []slab.Span) [][]slab.Span {
	t.Helper()
	want := req.ResponseKind()
	_, wanted := DecodeResponse(frame[4:], want)
	got, err := readLent(req, spans)
	if wanted != nil {
		require.Error(t, err)
		require.Empty(t, got)
		return nil
	}
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 1)
	requireSame(t, want, got[0])
	return got[0].Records
}

// requireSame requires that got says the same as a response that was decoded as a whole.
func requireSame(t *testing.T, want kmsg.Response, got Borrowed) {
	t.Helper()
	if fetch, ok := got.Response.(*kmsg.FetchResponse); ok {
		var records [][]byte
		for p := range partitionsOf(want.(*kmsg.FetchResponse)) {
			records = append(records, p.RecordBatches)
		}
		require.Len(t, got.Records, len(records))
		i := 0
		for p := range partitionsOf(fetch) {
			require.Equal(t, string(records[i]), string(slab.AppendTo(nil, got.Records[i])))
			p.RecordBatches = records[i]
			i++
		}
	} else {
		require.Nil(t, got.Records)
	}
	require.Equal(t, want, got.Response)
}
