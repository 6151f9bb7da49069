package network

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
)

func TestAStreamEndsAfterWhatIsLent(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := lenders(t, n)
		arrived, underway := shared(5_000), shared(5_000)
		require.NoError(t, client.WriteSpans([]slab.Span{arrived}))
		require.NoError(t, client.Close())
		lent(t, server, arrived)
		_, _, err := server.ReadSpan(make([]byte, 1))
		require.Equal(t, io.EOF, err)

		client, server = lenders(t, New(1))
		require.NoError(t, server.WriteSpans([]slab.Span{arrived}))
		server.(*conn).host.net.Latency(clients, broker, time.Second, 0)
		require.NoError(t, server.WriteSpans([]slab.Span{underway}))
		server.(*conn).host.Kill()
		lent(t, client, arrived)
		_, _, err = client.ReadSpan(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Zero(t, client.(*conn).in.size)
	})
}

func TestWhatIsLentIsLate(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := lenders(t, n)
		s := shared(4 * largeChunk)
		parts := func() (after []time.Duration) {
			began := time.Now()
			for at := 0; at < s.Len(); at += largeChunk {
				lent(t, server, s.Cut(at, at+largeChunk))
				after = append(after, time.Since(began))
			}
			return after
		}
		heal := n.Latency(clients, broker, time.Second, 0)
		require.NoError(t, client.WriteSpans([]slab.Span{s}))
		require.Equal(t, []time.Duration{time.Second, time.Second, time.Second, time.Second}, parts())
		require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Millisecond)))
		require.NoError(t, client.WriteSpans([]slab.Span{s}))
		_, _, err := server.ReadSpan(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, server.SetReadDeadline(time.Time{}))
		heal()
		require.Equal(t, []time.Duration{0, 0, 0, 0}, parts(), "what is under way comes with the heal")

		heal = n.Bandwidth(clients, broker, largeChunk)
		require.NoError(t, client.WriteSpans([]slab.Span{s}))
		require.Equal(t, []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}, parts())
		heal()

		heal = n.Cut(clients, broker)
		require.NoError(t, client.WriteSpans([]slab.Span{s}))
		time.AfterFunc(time.Minute, heal)
		require.Equal(t, []time.Duration{time.Minute, time.Minute, time.Minute, time.Minute}, parts())
	})
}

func TestAPauseHoldsWhatIsLent(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		g := gate.New()
		n.Host(Clients).Attach(g)
		client, server := lenders(t, n)
		s := shared(largeChunk)
		resume := func() {
			g.Pause()
			time.AfterFunc(time.Minute, g.Resume)
		}
		began := time.Now()
		resume()
		require.NoError(t, server.WriteSpans([]slab.Span{s}))
		lent(t, client, s)
		require.Equal(t, time.Minute, time.Since(began), "the reader was paused")
		resume()
		require.NoError(t, client.WriteSpans([]slab.Span{s}))
		lent(t, server, s)
		require.Equal(t, 2*time.Minute, time.Since(began), "the writer was paused")
		g.Shut()
		require.ErrorIs(t, client.WriteSpans([]slab.Span{s}), gate.ErrShut)
		_, _, err := client.ReadSpan(make([]byte, 1))
		require.ErrorIs(t, err, gate.ErrShut)
	})
}

// An interceptor sees whole messages, and its verdict holds for what would be lent.
func TestInterceptorsSeeWhatIsLent(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := lenders(t, n)
		s := shared(largeChunk)
		var whole []byte
		ask := func(id int32) {
			whole = withLength(append(request(fetchKey, id, "")[4:], s.Bytes()...))
			require.NoError(t, client.WriteSpans([]slab.Span{slab.Borrow(whole[:len(whole)-s.Len()]), s}))
		}
		began := time.Now()
		var seen [][]byte
		heal := n.Intercept(clients, broker, fetchKey, func(m Message) Verdict {
			seen = append(seen, bytes.Clone(m.Frame))
			return Verdict{Delay: time.Second}
		})
		ask(1)
		copied(t, server, whole)
		require.Equal(t, time.Second, time.Since(began))
		require.Len(t, seen, 1)
		require.True(t, bytes.Equal(whole[4:], seen[0]))
		heal()

		ask(2)
		copied(t, server, whole[:len(whole)-s.Len()])
		lent(t, server, s)
		n.Intercept(clients, broker, fetchKey, DropResponse)
		ask(3)
		copied(t, server, whole)
		require.NoError(t, server.WriteSpans([]slab.Span{slab.Borrow(withLength(append(frameOf(3, ""), s.Bytes()...))[:8]), s}))
		_, _, err := client.ReadSpan(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "the response was seen, and dropped")
	})
}
