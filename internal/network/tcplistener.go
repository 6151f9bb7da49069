package network

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

// Clients is the host that every peer of a TCP listener belongs to.
const Clients = "clients"

// past is a deadline that wakes whoever waits on a socket.
var past = time.Unix(1, 0)

// A tcpListener accepts real sockets, whose connections obey the faults
// between their host and Clients.
type tcpListener struct {
	raw    *net.TCPListener
	host   *Host
	gate   *gate.Gate
	failed atomic.Bool // Accept returns no more
}

// ListenTCP listens on a TCP address, with real sockets. Port 0 takes a free
// port outside the kernel's ephemeral range. Connections must carry Kafka's
// messages if they are to be intercepted.
func (h *Host) ListenTCP(address string) (net.Listener, error) {
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	var raw net.Listener
	if port == "0" {
		raw, err = listenFree("tcp", ip)
	} else {
		raw, err = net.Listen("tcp", address)
	}
	if err != nil {
		return nil, err
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || h.power != running || h.gate.IsShut() {
		raw.Close()
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: raw.Addr(), Err: net.ErrClosed}
	}
	l := &tcpListener{raw: raw.(*net.TCPListener), host: h, gate: h.gate}
	h.tcp[l] = struct{}{}
	return l, nil
}

// Accept implements [net.Listener].
func (l *tcpListener) Accept() (net.Conn, error) {
	for {
		raw, err := l.raw.AcceptTCP()
		if l.failed.Load() {
			if err == nil {
				l.adopt(raw) // the peer is treated like all other peers of the host
			}
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.raw.Addr(), Err: net.ErrClosed}
		}
		if err != nil {
			return nil, err
		}
		if c := l.adopt(raw); c != nil && l.gate.Pass() == nil {
			return c, nil
		}
	}
}

// adopt registers the connection at its host. One that comes when the host has
// fallen already shares the fate of the others and is not returned.
func (l *tcpListener) adopt(raw *net.TCPConn) *tcpConn {
	h, n := l.host, l.host.net
	toHost, toPeer := n.link(Clients, h.name), n.link(h.name, Clients)
	n.mu.Lock()
	n.ports++
	c := newTCPConn(h, l.gate, raw, toHost, toPeer, n.ports)
	power := h.power
	if h.gate != l.gate || n.closed {
		power = dead
	}
	h.ends[c] = struct{}{}
	n.mu.Unlock()
	switch power {
	case dead:
		c.abort()
	case off:
		c.silence()
	default:
		return c
	}
	return nil
}

// Addr implements [net.Listener].
func (l *tcpListener) Addr() net.Addr { return l.raw.Addr() }

// Close implements [net.Listener]. The socket of an incarnation that has ended
// stays until the host is killed or revived: clients must not take a power
// loss for a refusal.
func (l *tcpListener) Close() error {
	if l.gate.IsShut() {
		l.silence()
		return nil
	}
	l.shut()
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(l.host.tcp, l)
	return nil
}

func (l *tcpListener) shut() {
	l.failed.Store(true)
	l.raw.Close()
}

// silence ends Accept and leaves the socket open: the kernel goes on
// connecting, and nobody speaks.
func (l *tcpListener) silence() {
	l.failed.Store(true)
	l.raw.SetDeadline(past)
}
