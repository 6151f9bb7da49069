package wire

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// askAndRead is roundTrip for a connection that nobody else uses: the caller reads, too.
// If lend is set, what is lent is not in the frame, but in the connection's loan.
func (c *clientConn) askAndRead(ctx context.Context, req kmsg.Request, lend bool) (*[]byte, error) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.fail(context.Cause(ctx)) // ends the read, and the write
		close(ended)
	})
	frame, err := c.exchange(req, lend)
	if !stop() {
		<-ended
		giveBuffer(frame) // it came, and the connection is gone
		return nil, context.Cause(ctx)
	}
	if err != nil {
		c.fail(err)
	}
	if c.broken() { // perhaps by Close: what came then may be the answer to a client that went away
		giveBuffer(frame)
		return nil, c.err
	}
	return frame, nil
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
