package network

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/slab"
)

// A lender is what both ends of a memory connection are.
type lender interface {
	net.Conn
	WritePieces(pieces net.Buffers) error
	WriteSpans(spans []slab.Span) error
	ReadSpan(b []byte) (n int, s slab.Span, err error)
}

func lenders(t *testing.T, n *Network) (client, server lender) {
	a, b := pairOn(t, n, "memory")
	return a.(lender), b.(lender)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func shared(n int) slab.Span { return slab.Of(randomBytes(n)).Span(0, n) }

// same reports whether both lie in the same memory.
func same(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// lent requires that the next thing to be read is the memory of s, and takes it.
func lent(t *testing.T, c lender, s slab.Span) {
	t.Helper()
	n, got, err := c.ReadSpan(make([]byte, 1))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, s.Len(), got.Len())
	require.True(t, got.Shared())
	require.True(t, same(s.Bytes(), got.Bytes()), "a copy")
}

// copied requires that the next bytes are those, and not lent.
func copied(t *testing.T, c lender, want []byte) {
	t.Helper()
	for len(want) > 0 {
		buf := make([]byte, len(want))
		n, s, err := c.ReadSpan(buf)
		require.NoError(t, err)
		require.Zero(t, s.Len())
		require.True(t, bytes.Equal(want[:n], buf[:n]))
		want = want[n:]
	}
}

// Whatever is written in whatever way is what is read in whatever way.
func TestSpansAndBytesMix(t *testing.T) {
	for name, fault := range map[string]func(n *Network){
		"no fault":  func(*Network) {},
		"latency":   func(n *Network) { n.Latency(clients, broker, time.Second, time.Second) },
		"bandwidth": func(n *Network) { n.Bandwidth(clients, broker, 1<<20) },
		"intercepted": func(n *Network) {
			n.Intercept(clients, broker, produceKey, func(Message) Verdict { return Verdict{} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Network) {
				client, server := lenders(t, n)
				fault(n)
				var want bytes.Buffer
				var wg sync.WaitGroup
				wg.Go(func() {
					defer client.Close()
					for range 60 {
						writeSomehow(t, client, &want)
					}
				})
				got, err := readSomehow(server)
				require.NoError(t, err)
				wg.Wait()
				require.True(t, bytes.Equal(want.Bytes(), got))
				require.Zero(t, server.(*conn).in.size)
			})
		})
	}
}

// writeSomehow writes a message and notes it.
func writeSomehow(t *testing.T, c lender, want *bytes.Buffer) {
	spans := []slab.Span{slab.Borrow(nil)} // for the length
	for range rand.IntN(6) {
		size := []int{0, 1, 100, smallChunk - 1, smallChunk, 5_000, largeChunk, 200_000}[rand.IntN(8)]
		if s := shared(size); rand.IntN(3) > 0 {
			spans = append(spans, s)
		} else {
			spans = append(spans, slab.Borrow(s.Bytes()))
		}
	}
	spans[0] = slab.Borrow(withLength(make([]byte, slab.Size(spans)))[:4])
	whole := slab.AppendTo(nil, spans)
	want.Write(whole)
	var err error
	switch rand.IntN(4) {
	case 0:
		_, err = c.Write(whole)
	case 1:
		err = c.WritePieces(net.Buffers{whole[:2], whole[2:]})
	default:
		err = c.WriteSpans(spans)
	}
	require.NoError(t, err)
}

// readSomehow reads all that comes.
func readSomehow(c lender) (got []byte, err error) {
	for err == nil {
		buf := make([]byte, 1+rand.IntN([]int{1, 100, 10_000, 300_000}[rand.IntN(4)]))
		var n int
		var s slab.Span
		if rand.IntN(2) == 0 {
			n, err = c.Read(buf)
		} else {
			n, s, err = c.ReadSpan(buf)
		}
		got = append(append(got, buf[:n]...), s.Bytes()...)
	}
	if err == io.EOF {
		err = nil
	}
	return got, err
}

func TestWhatIsSharedIsHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := lenders(t, n)
		head, tail := []byte("head"), []byte("tail")
		one, few, two := shared(3_000), shared(10), shared(largeChunk)
		alone := shared(lendFrom - 1)
		require.NoError(t, client.WriteSpans([]slab.Span{
			slab.Borrow(head), one, few, two, slab.Borrow(tail), alone, slab.Borrow(head), slab.Borrow(one.Bytes()),
		}))
		require.Equal(t, 12+2*one.Len()+few.Len()+two.Len()+alone.Len(), server.(*conn).in.size)
		copied(t, server, head)
		lent(t, server, one)
		lent(t, server, few) // which stands between two that are worth it
		lent(t, server, two)
		copied(t, server, tail)
		copied(t, server, alone.Bytes())
		copied(t, server, head)
		copied(t, server, one.Bytes()) // it was only borrowed
		require.Zero(t, server.(*conn).in.size)

		require.NoError(t, client.WriteSpans([]slab.Span{one, two}))
		buf := make([]byte, 1000)
		m, err := server.Read(buf)
		require.NoError(t, err)
		require.True(t, bytes.Equal(one.Bytes()[:m], buf[:m]))
		copied(t, server, one.Bytes()[m:]) // of which something had been read
		lent(t, server, two)

		long := shared(3 * largeChunk)
		require.NoError(t, client.WriteSpans([]slab.Span{long}))
		for at := 0; at < long.Len(); at += largeChunk {
			lent(t, server, long.Cut(at, at+largeChunk))
		}
	})
}

// What is lent is nobody's to use again, whichever way it leaves the pipe.
func TestWhatIsLentStaysWhatItIs(t *testing.T) {
	spans := []slab.Span{shared(smallChunk), shared(largeChunk), shared(smallChunk), shared(largeChunk)}
	before := slab.AppendTo(nil, spans)
	for range 20 {
		client, server := lenders(t, New(1))
		require.NoError(t, client.WriteSpans(spans))
		lent(t, server, spans[0])
		_, err := io.ReadFull(server, make([]byte, largeChunk+100))
		require.NoError(t, err)
		server.(*conn).abort()
		client.Close()
		require.Zero(t, server.(*conn).in.size)

		client, server = lenders(t, New(1)) // which uses the chunks that others have used
		for _, size := range []int{smallChunk, pipeLimit - smallChunk} {
			_, err = client.Write(make([]byte, size))
			require.NoError(t, err)
		}
		_, err = io.ReadFull(server, make([]byte, pipeLimit))
		require.NoError(t, err)
		require.True(t, bytes.Equal(before, slab.AppendTo(nil, spans)), "they were written over")
	}
}

func TestWhatIsLentTakesRoom(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := lenders(t, n)
		all := shared(2 * pipeLimit)
		written := make(chan error, 1)
		go func() { written <- client.WriteSpans([]slab.Span{slab.Borrow([]byte("head")), all}) }()
		synctest.Wait()
		require.Empty(t, written)
		require.Equal(t, pipeLimit, server.(*conn).in.size)
		require.False(t, client.(*conn).TryWrite([]byte("x")))
		copied(t, server, []byte("head"))
		var got []byte
		for len(got) < all.Len() {
			m, s, err := server.ReadSpan(make([]byte, 1))
			require.NoError(t, err)
			require.Zero(t, m)
			require.True(t, same(all.Bytes()[len(got):], s.Bytes()))
			got = append(got, s.Bytes()...)
			synctest.Wait()
			require.LessOrEqual(t, server.(*conn).in.size, pipeLimit)
		}
		require.NoError(t, <-written)
		require.True(t, bytes.Equal(all.Bytes(), got))

		go func() { written <- client.WriteSpans([]slab.Span{all}) }()
		synctest.Wait()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-written, syscall.EPIPE)
		require.Zero(t, server.(*conn).in.size)
		require.ErrorIs(t, client.WriteSpans([]slab.Span{all}), syscall.EPIPE)
		_, _, err := server.ReadSpan(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
