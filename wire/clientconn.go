package wire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// queuedRequests may wait for the writer before Do waits.
	queuedRequests = 16
	// maxAbandoned responses may be owed to callers that have given up, before
	// the connection counts as broken.
	maxAbandoned = 1000
)

// A clientConn is one connection of a [Client].
type clientConn struct {
	nc       net.Conn
	clientID *string
	queue    chan *[]byte  // encoded frames, in the order in which they are written
	done     chan struct{} // closed when the connection is broken
	reader   io.Reader     // of whoever reads
	head     [4]byte       // of its frames

	// If there is one request at a time, its caller's.
	loan  loan // of the newest answer
	leash leash

	mu        sync.Mutex
	err       error // why it is broken
	nextID    int32
	calls     map[int32]chan *[]byte // by correlation id; nil: the caller has given up
	abandoned int
}

// newClientConn takes a connection over. If it is for one request at a time and lends, its
// reader is a lentReader.
func newClientConn(nc net.Conn, clientID string, alone bool) *clientConn {
	c := &clientConn{nc: nc, clientID: &clientID, queue: make(chan *[]byte, queuedRequests),
		done: make(chan struct{}), calls: make(map[int32]chan *[]byte)}
	if from, ok := nc.(lender); ok && alone {
		c.reader = &lentReader{from: from}
	} else {
		c.reader = bufio.NewReaderSize(nc, readBuffer)
	}
	return c
}

// roundTrip sends req and waits for the frame of its response; nil for a
// request that has none.
func (c *clientConn) roundTrip(ctx context.Context, req kmsg.Request) (*[]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	silent := silent(req)
	id, answered := c.register(silent)
	buf := takeBuffer(0)
	*buf = AppendRequest(*buf, Header{CorrelationID: id, ClientID: c.clientID}, req)
	if !c.writeNow(buf) {
		select {
		case c.queue <- buf:
		case <-ctx.Done():
			c.forget(id)
			giveBuffer(buf)
			return nil, context.Cause(ctx)
		case <-c.done:
			return nil, c.err
		}
	}
	if silent {
		return nil, nil
	}
	select {
	case frame := <-answered:
		return frame, nil
	case <-ctx.Done():
		c.abandon(id)
		return nil, context.Cause(ctx)
	case <-c.done:
	}
	select { // it may have come just before
	case frame := <-answered:
		return frame, nil
	default:
		return nil, c.err
	}
}

// silent reports whether a request has no answer.
func silent(req kmsg.Request) bool {
	produce, ok := req.(*kmsg.ProduceRequest)
	return ok && produce.Acks == 0
}

// An eager connection can tell whether a write would have to wait, and leaves it then.
type eager interface{ TryWrite(b []byte) (ok bool) }

// writeNow writes a request at once, if that waits for nobody: a hop less than by the
// writer's goroutine.
func (c *clientConn) writeNow(buf *[]byte) bool {
	e, ok := c.nc.(eager)
	if !ok || len(c.queue) > 0 || !e.TryWrite(*buf) {
		return false
	}
	giveBuffer(buf)
	return true
}

func (c *clientConn) register(silent bool) (int32, chan *[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nextID
	c.nextID++
	answered := make(chan *[]byte, 1)
	if !silent {
		c.calls[id] = answered
	}
	return id, answered
}

// forget drops a call that was never sent.
func (c *clientConn) forget(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

// abandon drops a call whose response may still come.
func (c *clientConn) abandon(id int32) {
	c.mu.Lock()
	if _, ok := c.calls[id]; ok {
		c.calls[id] = nil
		c.abandoned++
	}
	tooMany := c.abandoned > maxAbandoned
	c.mu.Unlock()
	if tooMany {
		c.fail(errors.New("too many requests without an answer"))
	}
}

func (c *clientConn) writeRequests() {
	for {
		select {
		case buf := <-c.queue:
			_, err := c.nc.Write(*buf)
			giveBuffer(buf)
			if err != nil {
				c.fail(err)
				return
			}
		case <-c.done:
			return
		}
	}
}

func (c *clientConn) readResponses() {
	for {
		buf, err := readFrame(c.reader, maxResponseBytes, &c.head)
		if err == nil {
			err = c.deliver(buf)
		}
		if err != nil {
			giveBuffer(buf)
			c.fail(err)
			return
		}
	}
}

// deliver hands a response to its caller.
func (c *clientConn) deliver(frame *[]byte) error {
	if len(*frame) < 4 {
		return errCutOff
	}
	id := int32(binary.BigEndian.Uint32(*frame))
	c.mu.Lock()
	answered, ok := c.calls[id]
	delete(c.calls, id)
	if ok && answered == nil {
		c.abandoned--
	}
	c.mu.Unlock()
	switch {
	case !ok:
		return fmt.Errorf("response to no request: correlation id %d", id)
	case answered == nil:
		giveBuffer(frame)
	default:
		answered <- frame // has room for it
	}
	return nil
}

// fail breaks the connection; the first reason is kept.
func (c *clientConn) fail(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = fmt.Errorf("connection to %s: %w", c.nc.RemoteAddr(), err)
		close(c.done)
	}
	c.mu.Unlock()
	if first {
		c.nc.Close()
	}
}

func (c *clientConn) broken() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
