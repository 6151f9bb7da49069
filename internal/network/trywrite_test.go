package network

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
)

// A TryWrite writes all or nothing, and nothing if it would have to wait or to fail.
func TestTryWriteWaitsForNothing(t *testing.T) {
	try := func(c net.Conn, b []byte) bool { return c.(interface{ TryWrite([]byte) bool }).TryWrite(b) }
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		require.True(t, try(client, []byte("there")))
		got := make([]byte, 5)
		_, err := io.ReadFull(server, got)
		require.NoError(t, err)
		require.Equal(t, "there", string(got))

		require.True(t, try(client, make([]byte, pipeLimit-1)))
		require.False(t, try(client, make([]byte, 2)), "it is full")
		require.True(t, try(client, make([]byte, 1)))
		_, err = io.ReadFull(server, make([]byte, pipeLimit))
		require.NoError(t, err)

		require.NoError(t, server.Close())
		require.False(t, try(client, []byte("x")), "nobody would read it")
		require.NoError(t, client.Close())
		require.False(t, try(client, []byte("x")))
	})
	bubble(t, func(t *testing.T, n *Network) {
		g := gate.New()
		n.Host(Clients).Attach(g)
		client, _ := pairOn(t, n, "memory")
		g.Pause()
		require.False(t, try(client, []byte("x")), "the writer is paused")
		g.Resume()
		require.True(t, try(client, []byte("x")))
		g.Shut()
		require.False(t, try(client, []byte("x")), "the writer has ended")
	})
	bubble(t, func(t *testing.T, n *Network) {
		client, _ := pairOn(t, n, "memory")
		heal := n.Intercept(clients, broker, metadataKey, DropRequest)
		require.False(t, try(client, frameOf(1, "x")), "somebody wants to see it whole")
		heal()
		require.True(t, try(client, frameOf(1, "x")))
	})
}
