package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

const (
	// pendingReplies is how many replies of a connection may wait to be
	// written before its next request waits too.
	pendingReplies = 64
	// repliesApart is how many may be under way out of the order before the connection's
	// next request waits.
	repliesApart = 16 << 10
	// readBuffer gathers small frames; larger ones are read past it.
	readBuffer = 8 << 10
	// partingTime is what remains, once a client has ended the connection, for
	// the requests that it sent before, and for a slow client to take its last
	// replies.
	partingTime = time.Second
)

// A Conn is a connection of a [Server].
type Conn struct {
	server *Server
	nc     net.Conn
	state  atomic.Value // stateBox

	life    context.Context // ends when the connection is closed here
	end     context.CancelFunc
	ctx     context.Context // of the handlers: ends also when the client goes away
	cancel  context.CancelFunc
	parting atomic.Pointer[parting] // of what came before the client's orderly end

	frames  chan arrival
	queued  atomic.Int64 // frames that the handlers' goroutine has, or will have
	replies chan pending
	owed    atomic.Int64   // replies that the writer has, or will have
	pen     chan struct{}  // one slot: whoever writes
	apart   chan struct{}  // a slot for each reply that is out of the order
	waiting sync.WaitGroup // for those
	last    atomic.Bool    // no further reply will come
}

// A parting is the time that is left after the client's end.
type parting struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// An arrival is a frame that has been read ahead.
type arrival struct {
	frame *[]byte
	at    time.Time
}

// A pending reply waits to be written.
type pending struct {
	Reply
	header Header
	frame  *[]byte // the request's memory
}

type stateBox struct{ v any }

func newConn(s *Server, nc net.Conn) *Conn {
	c := &Conn{
		server: s, nc: nc, frames: make(chan arrival, 1), replies: make(chan pending, pendingReplies),
		pen: make(chan struct{}, 1), apart: make(chan struct{}, repliesApart),
	}
	c.life, c.end = context.WithCancel(s.ctx)
	c.ctx, c.cancel = context.WithCancel(c.life)
	return c
}

// Listener returns the name of the listener that the client connected to.
func (c *Conn) Listener() string { return c.server.cfg.Name }

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// State returns what SetState has set last, or nil.
func (c *Conn) State() any {
	b, _ := c.state.Load().(stateBox)
	return b.v
}

// SetState keeps what a handler wants to remember of the connection.
func (c *Conn) SetState(v any) { c.state.Store(stateBox{v}) }

// Close ends the connection and the contexts of its handlers. It does not wait.
func (c *Conn) Close() {
	c.end()
	c.nc.Close()
}

// serve runs the connection until it has ended.
func (c *Conn) serve() {
	var wg sync.WaitGroup
	wg.Go(c.readAhead)
	wg.Go(c.writeReplies)
	c.handleRequests()
	wg.Wait()
	c.Close()
	if p := c.parting.Load(); p != nil {
		p.cancel()
	}
	if c.server.cfg.OnClose != nil {
		c.server.cfg.OnClose(c)
	}
}

// readAhead reads frames ahead of the handler, and so sees at once when the
// client goes away. A request that is handled promptly is handled here, if nothing is
// before it: that spares it a goroutine's waking.
func (c *Conn) readAhead() {
	defer close(c.frames)
	r := bufio.NewReaderSize(c.nc, readBuffer)
	head := new([4]byte)
	for {
		buf, err := readFrame(r, c.server.cfg.MaxRequestBytes, head)
		if err != nil {
			c.readEnded(err)
			return
		}
		a := arrival{buf, time.Now()}
		if c.queued.Load() == 0 && c.server.prompt(*buf) {
			if last := c.begin(a); last {
				return
			}
			continue
		}
		c.queued.Add(1)
		select {
		case c.frames <- a:
		case <-c.life.Done():
			giveBuffer(buf)
			return
		}
	}
}

// readEnded ends what waits for the client's sake. Unless the connection was
// reset, requests that came whole are still begun and answered, for a short
// time: a producer with acks=0 may well send and leave.
func (c *Conn) readEnded(err error) {
	_, oversized := errors.AsType[*FrameError](err)
	if !errors.Is(err, io.EOF) && c.life.Err() == nil {
		level := slog.LevelWarn
		if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) {
			level = slog.LevelDebug // a peer that died: nothing to mend here
		}
		c.log(level, "connection broke", "error", err)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !oversized {
		c.end()
		return
	}
	p := new(parting)
	p.ctx, p.cancel = context.WithTimeout(c.life, partingTime)
	c.parting.Store(p)
	c.cancel()
}

// handleRequests begins one request after the other until the frames end.
func (c *Conn) handleRequests() {
	defer func() {
		c.last.Store(true)
		c.nc.SetWriteDeadline(time.Now().Add(partingTime))
		close(c.replies)
	}()
	for a := range c.frames {
		if last := c.begin(a); last {
			return
		}
		c.queued.Add(-1)
	}
}

// begin has a request handled, after the one before. last is true if no other is to follow.
func (c *Conn) begin(a arrival) (last bool) {
	ctx := c.ctx
	if ctx.Err() != nil {
		p := c.parting.Load()
		if p == nil || p.ctx.Err() != nil {
			giveBuffer(a.frame)
			return false
		}
		ctx = p.ctx
	}
	p := c.handle(ctx, a)
	if p.Apart && p.Later != nil {
		c.apart <- struct{}{}
		c.waiting.Go(func() {
			c.finish(p)
			<-c.apart
		})
	} else if p.Later == nil && c.owed.Load() == 0 {
		c.finish(p) // nothing is before it, so it need not be handed to the writer
	} else {
		c.owed.Add(1)
		c.replies <- p // the writer takes every one
	}
	return p.Close
}

// handle answers one frame. Errors that have no answer close the connection,
// once what was asked before is answered.
func (c *Conn) handle(ctx context.Context, a arrival) pending {
	p := pending{Reply: Reply{Close: true}, frame: a.frame}
	h, body, ok, err := ParseHeader(*a.frame)
	p.header = h
	if !ok {
		c.log(slog.LevelWarn, "garbage", "error", err)
		return p
	}
	if low, high, ok := c.server.versions(h.Key); !ok || h.Version < low || h.Version > high {
		if h.Key != apiVersions {
			c.log(slog.LevelWarn, "unsupported request", "api", keyName(h.Key), "version", h.Version)
			return p
		}
		p.Reply = Reply{Response: unsupportedApiVersions(low, high)}
		p.header.Version = 0
		return p
	}
	if err != nil {
		c.log(slog.LevelWarn, "garbage", "error", err)
		return p
	}
	req, err := decodeBody(h, body)
	if err != nil {
		c.log(slog.LevelWarn, "malformed request", "error", err)
		return p
	}
	p.Reply = c.server.cfg.Handler.Handle(ctx, &Request{Header: h, Body: req, Conn: c, Received: a.at})
	return p
}

// unsupportedApiVersions is what a client gets that asks for the versions in a
// version that is not known: in version 0, with the range to ask in (KIP-511).
func unsupportedApiVersions(low, high int16) kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: apiVersions, MinVersion: low, MaxVersion: high}}
	return resp
}

// writeReplies writes the replies in their order, and closes the connection
// after the last one. After a failure it only waits for them.
func (c *Conn) writeReplies() {
	defer c.Close()
	for p := range c.replies {
		c.finish(p)
		c.owed.Add(-1)
	}
	c.waiting.Wait()
}

// finish awaits a reply's response and writes it.
func (c *Conn) finish(p pending) {
	resp := p.Response
	if p.Later != nil {
		resp = p.Later()
	}
	switch {
	case p.None || c.life.Err() != nil:
	case resp == nil:
		if !p.Close {
			c.log(slog.LevelWarn, "no response", "api", keyName(p.header.Key))
			c.end()
		}
	default:
		c.write(p.header, resp, p.Records)
	}
	if p.Release != nil {
		p.Release()
	}
	giveBuffer(p.frame)
}

// write sends a response, with one call.
func (c *Conn) write(h Header, resp kmsg.Response, records [][]slab.Span) {
	l := takeLetter()
	defer giveLetter(l)
	if err := l.write(h, resp, records); err != nil {
		c.log(slog.LevelError, "response not encoded", "api", keyName(h.Key), "error", err)
		c.Close()
		return
	}
	c.pen <- struct{}{}
	defer func() { <-c.pen }()
	if c.last.Load() {
		c.nc.SetWriteDeadline(time.Now().Add(partingTime))
	}
	if err := l.send(c.nc); err != nil {
		if c.ctx.Err() == nil {
			c.log(slog.LevelDebug, "response not written", "api", keyName(h.Key), "error", err)
		}
		c.Close()
	}
}

func (c *Conn) log(level slog.Level, msg string, args ...any) {
	c.server.cfg.Logger.Log(context.Background(), level, msg, append(args, "listener", c.Listener(), "client", c.RemoteAddr())...)
}
