package network

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

// A tcpConn is the host's end of a real socket. While no fault touches its
// links it reads and writes the socket directly. When one does, each direction
// gets a pipe, as memory connections have, and a goroutine that moves bytes
// between pipe and socket; they stay for the rest of the connection.
type tcpConn struct {
	raw            *net.TCPConn
	host           *Host
	gate           *gate.Gate
	toHost, toPeer *link
	number         int
	exchange       *exchange
	asks, answers  *scanner

	slot chan struct{} // held while the socket is written directly
	in   atomic.Pointer[pipe]
	out  atomic.Pointer[pipe]
	fail atomic.Pointer[failure]

	mu                          sync.Mutex
	readDeadline, writeDeadline time.Time
	parked                      bool // reset behind a cut: a goroutine waits to tell the peer
}

// A failure is why a connection's end may not be used any more.
type failure struct{ err error }

func newTCPConn(h *Host, g *gate.Gate, raw *net.TCPConn, toHost, toPeer *link, number int) *tcpConn {
	c := &tcpConn{raw: raw, host: h, gate: g, toHost: toHost, toPeer: toPeer, number: number,
		slot: make(chan struct{}, 1)}
	c.exchange = &exchange{reset: c.hangUp, inject: c.inject}
	c.asks = &scanner{exchange: c.exchange}
	c.answers = &scanner{exchange: c.exchange, response: true}
	return c
}

// shaped reports whether some fault touches the connection.
func (c *tcpConn) shaped() bool {
	return c.toHost.shape.Load() != nil || c.toPeer.shape.Load() != nil || c.exchange.armed()
}

// Read implements [net.Conn].
func (c *tcpConn) Read(b []byte) (int, error) {
	if err := c.gate.Pass(); err != nil {
		return 0, err
	}
	if c.in.Load() == nil && !c.shaped() {
		n, err := c.raw.Read(b)
		if f := c.fail.Load(); f != nil {
			return 0, f.err
		}
		if !c.shaped() {
			c.asks.observe(b[:n])
			if err := c.gate.Pass(); err != nil {
				return 0, err
			}
			return n, err
		}
		c.shapeIn(b[:n]) // a fault began meanwhile: it holds what came, and an EOF too
	}
	return c.shapeIn(nil).read(b)
}

// Write implements [net.Conn].
func (c *tcpConn) Write(b []byte) (int, error) {
	if err := c.gate.Pass(); err != nil {
		return 0, err
	}
	if p := c.out.Load(); p != nil {
		return p.write(b)
	}
	c.slot <- struct{}{}
	if c.out.Load() == nil && !c.shaped() {
		c.answers.observe(b)
		n, err := c.raw.Write(b)
		<-c.slot
		if f := c.fail.Load(); f != nil && err != nil {
			err = f.err
		}
		return n, err
	}
	p := c.shapeOut()
	<-c.slot
	return p.write(b)
}

// WritePieces writes a message that is in pieces as one, with one call of the system.
func (c *tcpConn) WritePieces(pieces net.Buffers) error {
	if err := c.gate.Pass(); err != nil {
		return err
	}
	if p := c.out.Load(); p != nil {
		return p.writePieces(pieces)
	}
	c.slot <- struct{}{}
	if c.out.Load() == nil && !c.shaped() {
		for _, b := range pieces {
			c.answers.observe(b)
		}
		_, err := pieces.WriteTo(c.raw)
		<-c.slot
		if f := c.fail.Load(); f != nil && err != nil {
			err = f.err
		}
		return err
	}
	p := c.shapeOut()
	<-c.slot
	return p.writePieces(pieces)
}

// inject sends made-up answers.
func (c *tcpConn) inject(answers []answer) {
	c.slot <- struct{}{}
	p := c.shapeOut()
	<-c.slot
	p.inject(answers)
}

// shapeIn returns the pipe of incoming bytes. The first call makes it; first
// is what was read from the socket already.
func (c *tcpConn) shapeIn(first []byte) *pipe {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.in.Load(); p != nil {
		return p
	}
	p := newPipe(c.toHost, c.toPeer)
	p.readerGate, p.frames = c.gate, c.asks
	c.in.Store(p)
	if f := c.fail.Load(); f != nil {
		p.sever(f.err)
		p.closeRead(f.err, nil)
		return p
	}
	p.setReadDeadline(c.readDeadline)
	c.raw.SetReadDeadline(time.Time{})
	first = append([]byte(nil), first...)
	c.host.net.wg.Go(func() { c.pumpIn(p, first) })
	return p
}

// shapeOut returns the pipe of outgoing bytes. The first call makes it. Who
// goes on writing holds the slot.
func (c *tcpConn) shapeOut() *pipe {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.out.Load(); p != nil {
		return p
	}
	p := newPipe(c.toPeer, c.toHost)
	p.writerGate, p.frames = c.gate, c.answers
	c.out.Store(p)
	if f := c.fail.Load(); f != nil {
		p.sever(f.err)
		p.closeRead(f.err, nil)
		return p
	}
	p.setWriteDeadline(c.writeDeadline)
	c.raw.SetWriteDeadline(time.Time{})
	c.host.net.wg.Go(func() { c.pumpOut(p) })
	return p
}

// Close implements [net.Conn]. What was written still goes out, after a cut if
// there is one. See conn.Close for an incarnation that has ended.
func (c *tcpConn) Close() error {
	if c.gate.IsShut() {
		c.silence()
		return nil
	}
	if c.toPeer.held() {
		c.shapeOut() // so that the peer hears of it when the link heals
	}
	first := c.failWith(net.ErrClosed)
	if in := c.in.Load(); in != nil {
		in.sever(net.ErrClosed)
		in.closeRead(net.ErrClosed, syscall.EPIPE)
	}
	if !first {
		return nil
	}
	if out := c.out.Load(); out != nil {
		out.finish(net.ErrClosed)
		return nil
	}
	c.shutRaw(false)
	return nil
}

// abort resets the connection. Behind a cut the socket stays open, so that the
// peer hears of it when the link heals.
func (c *tcpConn) abort() {
	c.failWith(errReset)
	c.stopPipes()
	if !c.toPeer.held() {
		c.shutRaw(true)
		return
	}
	c.raw.SetDeadline(past)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.parked {
		c.parked = true
		word := newPipe(c.toPeer, c.toHost)
		word.reset(net.ErrClosed)
		c.host.net.wg.Go(func() { c.pumpOut(word) })
	}
}

// hangUp resets the connection after what is under way.
func (c *tcpConn) hangUp() {
	out := c.out.Load()
	if out == nil {
		c.abort()
		return
	}
	c.failWith(errReset)
	if in := c.in.Load(); in != nil {
		in.cutShort()
	}
	out.cutShort()
}

// silence fails the connection at this end only; the socket stays open.
func (c *tcpConn) silence() {
	c.failWith(net.ErrClosed)
	c.stopPipes()
	c.raw.SetDeadline(past)
}

// failWith sets why the connection may not be used any more. No goroutine
// begins after it. It reports whether this was the first failure.
func (c *tcpConn) failWith(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fail.CompareAndSwap(nil, &failure{err})
}

func (c *tcpConn) stopPipes() {
	for _, p := range []*pipe{c.in.Load(), c.out.Load()} {
		if p != nil {
			p.sever(net.ErrClosed)
			p.closeRead(net.ErrClosed, nil)
		}
	}
}

func (c *tcpConn) shutRaw(reset bool) {
	if reset {
		c.raw.SetLinger(0)
	}
	c.raw.Close()
	c.host.forget(c)
}

func (c *tcpConn) route() (from, to string) { return c.host.name, Clients }
func (c *tcpConn) dialed() bool             { return true }
func (c *tcpConn) serial() int              { return c.number }

// LocalAddr implements [net.Conn].
func (c *tcpConn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *tcpConn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline implements [net.Conn].
func (c *tcpConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *tcpConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readDeadline = t
	switch p := c.in.Load(); {
	case c.fail.Load() != nil:
		return net.ErrClosed
	case p != nil:
		return p.setReadDeadline(t)
	}
	return c.raw.SetReadDeadline(t)
}

// SetWriteDeadline implements [net.Conn].
func (c *tcpConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	switch p := c.out.Load(); {
	case c.fail.Load() != nil:
		return net.ErrClosed
	case p != nil:
		return p.setWriteDeadline(t)
	}
	return c.raw.SetWriteDeadline(t)
}
