package network

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The conformance of connections: what every net.Conn must do, memory and real
// sockets alike, and real sockets behind a fault, where pipes and goroutines
// stand between.
func TestConnections(t *testing.T) {
	for name, check := range map[string]func(t *testing.T, client, server net.Conn){
		"bytes arrive whole and in order":   checkTransfer,
		"both directions at once":           checkBothWays,
		"writes do not mix":                 checkConcurrentWrites,
		"close is EOF after the last byte":  checkEOF,
		"close wakes who waits":             checkCloseWakes,
		"a read deadline ends a read":       checkReadDeadline,
		"a write deadline ends a write":     checkWriteDeadline,
		"a deadline that moved is gone":     checkDeadlineMoves,
		"writing to who has left fails":     checkBrokenPipe,
		"addresses mirror each other":       checkAddresses,
		"reading nothing returns at once":   checkEmptyRead,
		"closing twice is harmless":         checkCloseTwice,
		"a past deadline fails at once":     checkPastDeadline,
		"a deadline after Close is refused": checkDeadlineAfterClose,
	} {
		for _, side := range []string{"dialed", "accepted"} {
			t.Run("memory/"+side+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := New(1)
					defer n.Close()
					client, server := pairOn(t, n, "memory")
					if side == "accepted" {
						client, server = server, client
					}
					check(t, client, server)
				})
			})
		}
		for _, shaped := range []bool{false, true} {
			t.Run("tcp/"+map[bool]string{false: "plain/", true: "shaped/"}[shaped]+name, func(t *testing.T) {
				n := New(1)
				defer n.Close()
				client, server := pairOn(t, n, "tcp")
				if shaped {
					n.Latency([]string{Clients}, []string{"broker-1"}, time.Microsecond, 0)
				}
				check(t, server, client) // our end is the one that is looked at first
			})
		}
	}
}

func checkTransfer(t *testing.T, a, b net.Conn) {
	sent := make([]byte, 3<<20) // more than the buffers hold
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(200_000))
			if _, err := a.Write(rest[:n]); err != nil {
				break
			}
			rest = rest[n:]
		}
		a.Close()
	}()
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.True(t, bytes.Equal(sent, got))
	b.Close()
}

func checkBothWays(t *testing.T, a, b net.Conn) {
	const size = 2 << 20
	var wg sync.WaitGroup
	for _, c := range []net.Conn{a, b} {
		wg.Go(func() { c.Write(make([]byte, size)) })
		wg.Go(func() {
			n, err := io.ReadFull(c, make([]byte, size))
			require.NoError(t, err)
			require.Equal(t, size, n)
		})
	}
	wg.Wait()
}

func checkConcurrentWrites(t *testing.T, a, b net.Conn) {
	const writers, writes, size = 4, 10, 100_000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				b := bytes.Repeat([]byte{byte('a' + w)}, size)
				if p, ok := a.(interface{ WritePieces(net.Buffers) error }); ok && i%2 == 0 {
					p.WritePieces(net.Buffers{b[:1], b[1 : size/2], nil, b[size/2:]})
				} else {
					a.Write(b)
				}
			}
		})
	}
	got := make([]byte, size)
	for range writers * writes {
		_, err := io.ReadFull(b, got)
		require.NoError(t, err)
		require.Equal(t, size, bytes.Count(got, got[:1]), "a write is not torn by another")
	}
	wg.Wait()
}

func checkEOF(t *testing.T, a, b net.Conn) {
	_, err := a.Write([]byte("last words"))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, "last words", string(got))
	_, err = b.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err, "again")
	_, err = a.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = a.Write([]byte("x"))
	require.ErrorIs(t, err, net.ErrClosed)
}

func checkCloseWakes(t *testing.T, a, b net.Conn) {
	failed := make(chan error, 2)
	go func() { _, err := a.Read(make([]byte, 1)); failed <- err }()
	go func() {
		for {
			if _, err := a.Write(make([]byte, 1<<20)); err != nil {
				failed <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, a.Close())
	require.ErrorIs(t, <-failed, net.ErrClosed)
	require.ErrorIs(t, <-failed, net.ErrClosed)
	b.Close()
}

func checkReadDeadline(t *testing.T, a, b net.Conn) {
	began := time.Now()
	require.NoError(t, a.SetReadDeadline(began.Add(30*time.Millisecond)))
	_, err := a.Read(make([]byte, 1))
	requireTimeout(t, err)
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
	_, err = b.Write([]byte("x"))
	require.NoError(t, err)
	_, err = a.Read(make([]byte, 1))
	requireTimeout(t, err)
	require.NoError(t, a.SetDeadline(time.Time{}))
	_, err = a.Read(make([]byte, 1))
	require.NoError(t, err, "what came is still there")
	_, err = a.Write([]byte("y"))
	require.NoError(t, err)
}

func checkWriteDeadline(t *testing.T, a, b net.Conn) {
	require.NoError(t, a.SetWriteDeadline(time.Now().Add(30*time.Millisecond)))
	var err error
	for range 100 {
		if _, err = a.Write(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	requireTimeout(t, err)
	go b.Write([]byte("x"))
	_, err = a.Read(make([]byte, 1))
	require.NoError(t, err, "reading is not concerned")
}

func checkDeadlineMoves(t *testing.T, a, b net.Conn) {
	require.NoError(t, a.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Hour)))
	go func() {
		time.Sleep(40 * time.Millisecond)
		b.Write([]byte("x"))
	}()
	_, err := a.Read(make([]byte, 1))
	require.NoError(t, err)
	waits := make(chan error)
	go func() { _, err := a.Read(make([]byte, 1)); waits <- err }()
	time.Sleep(10 * time.Millisecond)
	require.NoError(t, a.SetReadDeadline(time.Unix(1, 0)), "also for who waits already")
	requireTimeout(t, <-waits)
}

func checkPastDeadline(t *testing.T, a, b net.Conn) {
	require.NoError(t, a.SetDeadline(time.Unix(1, 0)))
	_, err := a.Read(make([]byte, 1))
	requireTimeout(t, err)
	_, err = a.Write(make([]byte, 1))
	requireTimeout(t, err)
}

func checkDeadlineAfterClose(t *testing.T, a, b net.Conn) {
	a.Close()
	require.ErrorIs(t, a.SetDeadline(time.Now().Add(time.Hour)), net.ErrClosed)
}

func checkBrokenPipe(t *testing.T, a, b net.Conn) {
	require.NoError(t, b.Close())
	var err error
	for range 1000 { // a real socket learns of it by the answer to its first write
		if _, err = a.Write(make([]byte, 64<<10)); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	require.True(t, errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET), "%v", err)
}

func checkAddresses(t *testing.T, a, b net.Conn) {
	require.Equal(t, a.LocalAddr().String(), b.RemoteAddr().String())
	require.Equal(t, b.LocalAddr().String(), a.RemoteAddr().String())
	for _, address := range []net.Addr{a.LocalAddr(), a.RemoteAddr()} {
		_, _, err := net.SplitHostPort(address.String())
		require.NoError(t, err)
	}
}

func checkEmptyRead(t *testing.T, a, b net.Conn) {
	n, err := a.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = a.Write(nil)
	require.NoError(t, err)
	require.Zero(t, n)
}

func checkCloseTwice(t *testing.T, a, b net.Conn) {
	require.NoError(t, a.Close())
	a.Close()
	b.Close()
	b.Close()
}

func requireTimeout(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	var ne net.Error
	require.ErrorAs(t, err, &ne)
	require.True(t, ne.Timeout())
}
