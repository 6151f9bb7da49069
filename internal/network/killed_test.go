package network

import (
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
)

// A dying process closes what it holds before or after its host is told that it
// is dead. Either way the peer hears of the reset.
func TestPeerHearsOfAKilledProcess(t *testing.T) {
	for name, closedFirst := range map[string]bool{"closed, then killed": true, "killed, then closed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(1)
				defer n.Close()
				g := gate.New()
				n.Host("a").Attach(gate.New())
				n.Host("b").Attach(g)
				l, err := n.Host("a").Listen("a:1", true)
				require.NoError(t, err)
				c, err := n.Host("b").DialContext(t.Context(), "tcp", "a:1")
				require.NoError(t, err)
				s, err := l.Accept()
				require.NoError(t, err)
				heard := make(chan error, 1)
				go func() { _, err := s.Read(make([]byte, 1)); heard <- err }()
				synctest.Wait()
				g.Shut()
				if closedFirst {
					c.Close()
				}
				n.Host("b").Kill()
				c.Close()
				synctest.Wait()
				select {
				case err := <-heard:
					require.ErrorIs(t, err, syscall.ECONNRESET)
				default:
					s.Close()
					require.Fail(t, "the peer heard nothing")
				}
			})
		})
	}
}
