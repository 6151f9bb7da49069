package network

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// pumpIn moves bytes from the socket into p until either ends.
func (c *tcpConn) pumpIn(p *pipe, first []byte) {
	if _, err := p.write(first); err != nil {
		return
	}
	buf := newChunk(largeChunk)
	defer buf.recycle()
	for {
		n, err := c.raw.Read(buf.buf)
		if n > 0 {
			if _, err := p.write(buf.buf[:n]); err != nil {
				return
			}
		}
		switch {
		case err == nil:
		case c.fail.Load() != nil:
			return
		case errors.Is(err, io.EOF):
			p.finish(net.ErrClosed)
			return
		default:
			p.reset(errReset)
			return
		}
	}
}

// pumpOut moves bytes from p into the socket, and its end too.
func (c *tcpConn) pumpOut(p *pipe) {
	buf := newChunk(largeChunk)
	defer buf.recycle()
	for {
		n, err := p.read(buf.buf)
		if n > 0 {
			if _, err := c.raw.Write(buf.buf[:n]); err != nil {
				p.closeRead(errReset, syscall.EPIPE)
				if !errors.Is(err, os.ErrDeadlineExceeded) { // that would be silence
					c.shutRaw(true)
				}
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			p.closeRead(net.ErrClosed, nil)
			c.shutRaw(false)
			return
		case errors.Is(err, errReset):
			p.closeRead(net.ErrClosed, nil)
			c.shutRaw(true)
			return
		default:
			return
		}
	}
}
