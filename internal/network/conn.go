package network

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
)

// A conn is one end of a memory connection.
type conn struct {
	host          *Host
	gate          *gate.Gate
	local, remote addr
	number        int
	active        bool // this end dialed
	in, out       *pipe
	peer          *conn
	closed        atomic.Bool
}

// connect makes both ends of a connection. They must be adopted by their hosts.
func connect(from, to *Host, toAddr string, framed bool, port int, there, back *link) (client, server *conn) {
	up, down := newPipe(there, back), newPipe(back, there)
	client = &conn{host: from, number: port, active: true, in: down, out: up,
		local: addr(net.JoinHostPort(from.name, itoa(port))), remote: addr(toAddr)}
	server = &conn{host: to, number: port, in: up, out: down, local: client.remote, remote: client.local}
	client.peer, server.peer = server, client
	if framed {
		x := &exchange{reset: client.hangUp, inject: down.inject}
		up.frames, down.frames = &scanner{exchange: x}, &scanner{exchange: x, response: true}
	}
	return client, server
}

func (c *conn) setGate(g *gate.Gate) {
	c.gate = g
	c.in.readerGate, c.out.writerGate = g, g
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.readError(err)
}

// ReadSpan is Read, but what the peer has lent is returned as s, without a copy, if it
// comes next and nothing of it has been read; n is 0 then. Otherwise bytes are copied, at
// most up to what was lent, and s is empty.
func (c *conn) ReadSpan(b []byte) (n int, s slab.Span, err error) {
	n, s, err = c.in.take(b, true)
	return n, s, c.readError(err)
}

func (c *conn) readError(err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		err = c.opError("read", err)
	}
	return err
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

// WritePieces writes a message that is in pieces as one.
func (c *conn) WritePieces(pieces net.Buffers) error {
	if err := c.out.writePieces(pieces); err != nil {
		return c.opError("write", err)
	}
	return nil
}

// WriteSpans is WritePieces for spans. What of them is shared may be lent to the peer:
// then it is not copied, and the peer has it for as long as it likes.
func (c *conn) WriteSpans(spans []slab.Span) error {
	if err := c.out.writeSpans(spans); err != nil {
		return c.opError("write", err)
	}
	return nil
}

// TryWrite writes all of b, or nothing if it would have to wait or to fail.
func (c *conn) TryWrite(b []byte) (ok bool) { return c.out.tryWrite(b) }

// Close ends both directions. The peer reads what was written and then EOF.
// An incarnation that has ended can tell nobody: its connections stay as they
// are until Host.Kill or Host.Revive resets them.
func (c *conn) Close() error {
	if c.gate.IsShut() {
		c.silence()
		return nil
	}
	if c.closed.Swap(true) {
		return nil
	}
	c.out.finish(net.ErrClosed)
	c.in.closeRead(net.ErrClosed, syscall.EPIPE)
	c.host.forget(c)
	return nil
}

func (c *conn) abort() {
	c.closed.Store(true)
	c.out.reset(errReset)
	c.in.closeRead(errReset, errReset)
	c.host.forget(c)
}

// hangUp resets the connection after what is under way, at both ends.
func (c *conn) hangUp() {
	c.out.cutShort()
	c.in.cutShort()
}

func (c *conn) silence() {
	if c.closed.Swap(true) {
		return // it ended before, and may have said so
	}
	c.out.sever(net.ErrClosed)
	c.in.closeRead(net.ErrClosed, nil)
}

func (c *conn) route() (from, to string) { return c.host.name, c.peer.host.name }
func (c *conn) dialed() bool             { return c.active }
func (c *conn) serial() int              { return c.number }

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setError(c.in.setReadDeadline(t))
}

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setError(c.out.setWriteDeadline(t))
}

func (c *conn) setError(err error) error {
	if err != nil {
		err = c.opError("set", err)
	}
	return err
}

func (c *conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}
