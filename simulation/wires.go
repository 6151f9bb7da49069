package simulation

import (
	"context"
	"errors"
	"net"
	"sync"
)

// wires are the connections of one client's process. They make it die without a word,
// and stand still, while its client's code runs on: that a process is stopped and goes on
// later with what it knew is, to others, that nothing of it is heard meanwhile.
type wires struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	tap  func() *tap

	mu     sync.Mutex // a leaf
	conns  map[net.Conn]bool
	dead   bool
	frozen chan struct{} // nil: they run; closed when they do again
}

var errDead = errors.New("the process is dead")

func (w *wires) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.await()
	c, err := w.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		_ = c.Close()
		return nil, errDead
	}
	if w.conns == nil {
		w.conns = map[net.Conn]bool{}
	}
	w.conns[c] = true
	return &wire{c, w, w.tap()}, nil
}

// die ends every connection and lets no other be made.
func (w *wires) die() {
	w.mu.Lock()
	w.dead = true
	conns := w.conns
	w.conns = nil
	w.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}

// freeze lets nothing in or out until thaw is called.
func (w *wires) freeze() (thaw func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	frozen := make(chan struct{})
	w.frozen = frozen
	return func() {
		w.mu.Lock()
		w.frozen = nil
		w.mu.Unlock()
		close(frozen)
	}
}

func (w *wires) await() {
	w.mu.Lock()
	frozen := w.frozen
	w.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (w *wires) forget(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// A wire is one of the connections.
type wire struct {
	net.Conn
	of  *wires
	tap *tap
}

func (c *wire) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.of.await()
	c.tap.read(b[:n])
	return n, err
}

func (c *wire) Write(b []byte) (int, error) {
	c.of.await()
	c.tap.wrote(b)
	return c.Conn.Write(b)
}

func (c *wire) Close() error {
	c.of.forget(c.Conn)
	return c.Conn.Close()
}
