package network

import (
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/brokersim/brokersim/internal/gate"
)

// backlog is how many connections a listener's kernel accepts ahead of Accept.
const backlog = 128

func itoa(n int) string { return strconv.Itoa(n) }

// A listener accepts memory connections.
type listener struct {
	host   *Host
	gate   *gate.Gate
	addr   addr
	framed bool
	queue  chan *conn
	done   chan struct{}
	once   sync.Once

	starved bool // a dial waits for room in the queue; guarded by the network's mu
}

// Listen listens on a memory address of this host, such as "broker-1:9090".
// With framed, connections carry Kafka's messages, and interceptors see them.
func (h *Host) Listen(address string, framed bool) (net.Listener, error) {
	name, err := hostOf(address)
	if err == nil && name != h.name {
		err = syscall.EADDRNOTAVAIL
	}
	if err != nil {
		return nil, opError("listen", address, err)
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed || h.power != running || h.gate.IsShut():
		return nil, opError("listen", address, net.ErrClosed)
	case n.listeners[address] != nil:
		return nil, opError("listen", address, syscall.EADDRINUSE)
	}
	l := &listener{host: h, gate: h.gate, addr: addr(address), framed: framed,
		queue: make(chan *conn, backlog), done: make(chan struct{})}
	n.listeners[address] = l
	n.wakeDialsLocked()
	return l, nil
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, l.closedError()
	default:
	}
	select {
	case c := <-l.queue:
		l.fed()
		if l.gate.Pass() != nil {
			return nil, l.closedError()
		}
		return c, nil
	case <-l.done:
		return nil, l.closedError()
	}
}

// fed lets dials look again that found the queue full.
func (l *listener) fed() {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.starved {
		l.starved = false
		n.wakeDialsLocked()
	}
}

func (l *listener) closedError() error { return opError("accept", string(l.addr), net.ErrClosed) }

// Addr implements [net.Listener].
func (l *listener) Addr() net.Addr { return l.addr }

// Close implements [net.Listener]. Connections that nobody has accepted are
// reset, unless the incarnation has ended: then that is the host's to do.
func (l *listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	if n.listeners[string(l.addr)] == l && !l.gate.IsShut() {
		delete(n.listeners, string(l.addr))
		n.wakeDialsLocked()
	}
	n.mu.Unlock()
	if l.gate.IsShut() {
		l.stop()
		return nil
	}
	l.shut()
	return nil
}

func (l *listener) stop() { l.once.Do(func() { close(l.done) }) }

// shut makes Accept fail and resets what waits in the queue. What the host
// silences itself is left alone by its gate.
func (l *listener) shut() {
	l.stop()
	for {
		select {
		case c := <-l.queue:
			if l.host.isOff() {
				c.silence()
			} else {
				c.abort()
			}
		default:
			return
		}
	}
}

func (h *Host) isOff() bool {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.power == off
}
