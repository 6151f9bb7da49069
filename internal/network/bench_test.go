package network

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkRoundTrip(b *testing.B) {
	for _, transport := range []string{"memory", "tcp"} {
		b.Run("transport="+transport+"/size=100", func(b *testing.B) {
			client, server := pairOver(b, transport)
			go io.Copy(server, server)
			buf := frameOfSize(100)
			for b.Loop() {
				_, err := client.Write(buf)
				require.NoError(b, err)
				_, err = io.ReadFull(client, buf)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkThroughput(b *testing.B) {
	for _, transport := range []string{"memory", "tcp"} {
		b.Run("transport="+transport+"/write=64KiB", func(b *testing.B) {
			client, server := pairOver(b, transport)
			done := make(chan int64)
			go func() {
				n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{server}, make([]byte, 256<<10))
				done <- n
			}()
			buf := frameOfSize(64 << 10)
			b.SetBytes(int64(len(buf)))
			sent := int64(0)
			for b.Loop() {
				n, err := client.Write(buf)
				require.NoError(b, err)
				sent += int64(n)
			}
			client.Close()
			require.Equal(b, sent, <-done)
		})
	}
}

// frameOfSize returns a message as long as that with its length, as connections
// carry them.
func frameOfSize(n int) []byte { return withLength(make([]byte, n-4)) }

// pairOver connects the host "clients" to "broker-1".
func pairOver(tb testing.TB, transport string) (client, server net.Conn) {
	n := New(1)
	tb.Cleanup(func() { n.Close() })
	return pairOn(tb, n, transport)
}

func pairOn(tb testing.TB, n *Network, transport string) (client, server net.Conn) {
	broker := n.Host("broker-1")
	var l net.Listener
	var err error
	if transport == "tcp" {
		l, err = broker.ListenTCP("127.0.0.1:0")
	} else {
		l, err = broker.Listen("broker-1:9092", true)
	}
	require.NoError(tb, err)
	client, err = n.Host(Clients).DialContext(tb.Context(), "tcp", l.Addr().String())
	require.NoError(tb, err)
	server, err = l.Accept()
	require.NoError(tb, err)
	return client, server
}
