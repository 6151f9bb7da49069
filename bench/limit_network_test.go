package bench

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What does loopback TCP allow, which clients come over? of=round-trip is 100 bytes there
// and as many back; of=stream is one connection written to in pieces of 256 KiB; of=answer is
// 100 bytes there and 1 MiB back, one after the other, out of memory into memory: what a
// Fetch of that size can be at most.
func BenchmarkLimitNetwork(b *testing.B) {
	b.Run("of=round-trip", roundTrips)
	b.Run("of=stream", stream)
	b.Run("of=answer", answers)
}

func roundTrips(b *testing.B) {
	client := dialTo(b, func(c net.Conn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 100))
	})
	message, took := make([]byte, 100), newHistogram()
	for b.Loop() {
		began := time.Now()
		if _, err := client.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, message); err != nil {
			b.Fatal(err)
		}
		took.record(time.Since(began))
	}
	took.report(b)
}

func answers(b *testing.B) {
	answer, message := make([]byte, 1<<20), make([]byte, 100)
	client := dialTo(b, func(c net.Conn) {
		for asked := make([]byte, len(message)); ; {
			if _, err := io.ReadFull(c, asked); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
	b.SetBytes(int64(len(answer)))
	for into := make([]byte, len(answer)); b.Loop(); {
		if _, err := client.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, into); err != nil {
			b.Fatal(err)
		}
	}
}

func stream(b *testing.B) {
	var received int64
	client := dialTo(b, func(c net.Conn) {
		buf := make([]byte, rawChunk)
		for {
			n, err := c.Read(buf)
			received += int64(n)
			if err != nil {
				return
			}
		}
	})
	chunk := make([]byte, rawChunk)
	b.SetBytes(rawChunk)
	for b.Loop() {
		if _, err := client.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	client.hangUp()
	require.EqualValues(b, b.N*rawChunk, received)
}

// A dialed connection knows when its other end has read everything.
type dialed struct {
	net.Conn
	hangUp func()
}

// dialTo connects to a server that serves one connection.
func dialTo(b *testing.B, serve func(net.Conn)) dialed {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	var served sync.WaitGroup
	served.Go(func() {
		defer l.Close()
		c, err := l.Accept()
		if err == nil {
			serve(c)
			c.Close()
		}
	})
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	d := dialed{c, sync.OnceFunc(func() { c.Close(); served.Wait() })}
	b.Cleanup(d.hangUp)
	return d
}
