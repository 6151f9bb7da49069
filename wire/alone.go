package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// askAndRead is roundTrip for a connection that nobody else uses: the caller reads, too, no
// longer than within, if that is not 0. If lend is set, what is lent is not in the frame, but in
// the connection's loan.
func (c *clientConn) askAndRead(ctx context.Context, req kmsg.Request, within time.Duration, lend bool) (*[]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c.heed(ctx)
	var deadline time.Time
	if within > 0 {
		deadline = time.Now().Add(within)
	}
	err := c.nc.SetDeadline(deadline)
	var frame *[]byte
	if err == nil {
		frame, err = c.exchange(req, lend)
	}
	if err != nil {
		c.fail(err)
	}
	ended := ctx.Err() != nil
	if !ended && !c.broken() { // perhaps by Close: what came then may be the answer to a client that went away
		return frame, nil
	}
	c.unleash()
	giveBuffer(frame)
	if ended {
		return nil, context.Cause(ctx)
	}
	return nil, c.err
}

// A leash has the end of a context end a connection.
type leash struct {
	ctx   context.Context
	stop  func() bool
	ended chan struct{} // closed when it has
}

// heed puts the connection, which has settled, on the leash of ctx. It stays for the next
// requests that have the same.
func (c *clientConn) heed(ctx context.Context) {
	if c.leash.ctx == ctx {
		return
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		c.fail(context.Cause(ctx)) // ends the read, and the write
	})
	c.leash = leash{ctx, stop, ended}
}

// unleash ends what heed began. It joins the end of the connection, if that came.
func (c *clientConn) unleash() {
	if c.leash.ctx != nil && !c.leash.stop() {
		<-c.leash.ended
	}
	c.leash = leash{}
}

func (c *clientConn) exchange(req kmsg.Request, lend bool) (frame *[]byte, err error) {
	c.loan.reset()
	id := c.nextID
	c.nextID++
	buf := takeBuffer(0)
	*buf = AppendRequest(*buf, Header{CorrelationID: id, ClientID: c.clientID}, req)
	_, err = c.nc.Write(*buf)
	giveBuffer(buf)
	if err != nil || silent(req) {
		return nil, err
	}
	if r, ok := c.reader.(*lentReader); ok && lend {
		frame, err = c.loan.read(r, maxResponseBytes, &c.head)
	} else {
		frame, err = readFrame(c.reader, maxResponseBytes, &c.head)
	}
	if err != nil {
		return nil, err
	}
	if len(*frame) < 4 {
		err = errCutOff
	} else if got := int32(binary.BigEndian.Uint32(*frame)); got != id {
		err = fmt.Errorf("response to no request: correlation id %d", got)
	}
	if err != nil {
		giveBuffer(frame)
		return nil, err
	}
	return frame, nil
}
