package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxResponseBytes bounds what a client takes for a response.
const maxResponseBytes = 256 << 20

// ErrClientClosed is returned by a [Client] that has been closed.
var ErrClientClosed = errors.New("client is closed")

// ClientConfig says whom a [Client] talks to.
type ClientConfig struct {
	Dial     func(ctx context.Context) (net.Conn, error)
	ClientID string

	// OneAtATime says that no request is made before the one before has returned. Who
	// asks then reads the answer itself, instead of being woken by a reader: there are
	// no goroutines. A request whose ctx ends takes the connection with it.
	OneAtATime bool
}

// A Client sends requests to one node. It connects with the first request,
// keeps any number of requests in flight on its one connection, and connects
// anew after that has broken. While it is connected it has two goroutines, unless
// it is for one request at a time; Close joins them. Its methods are safe for concurrent use.
type Client struct {
	cfg     ClientConfig
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	dialing chan struct{} // one slot: one dial at a time

	mu     sync.Mutex
	link   *clientConn // nil, or the newest, which may be broken
	closed bool
}

// NewClient returns a client that has not connected yet.
func NewClient(cfg ClientConfig) *Client {
	c := &Client{cfg: cfg, dialing: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Do sends req, in the version that is set on it, and waits for the response.
// An error means that there is none: the request may have had its effect or
// may have it yet. When ctx ends Do returns, and the connection stays usable.
// A produce request with acks=0 returns a nil response at once.
func (c *Client) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	conn, frame, err := c.exchange(ctx, req, 0, false)
	if frame == nil {
		return nil, err
	}
	resp := req.ResponseKind()
	if _, err := DecodeResponse(*frame, resp); err != nil {
		conn.fail(err) // whoever answers like this has lost the thread
		return nil, err
	}
	return resp, nil
}

// Borrow is Do for large responses. The records of a fetch are not copied if the connection
// lends them, and the client is for one request at a time. Such a client also gives a connection
// up that takes longer than within, if that is not 0.
func (c *Client) Borrow(ctx context.Context, req kmsg.Request, within time.Duration) (Borrowed, error) {
	_, isFetch := req.(*kmsg.FetchRequest)
	conn, frame, err := c.exchange(ctx, req, within, isFetch)
	if frame == nil {
		return Borrowed{}, err
	}
	l := new(loan)
	if c.cfg.OneAtATime {
		l = &conn.loan
	}
	b, err := l.decode(req, frame)
	if err != nil {
		conn.fail(err)
	}
	return b, err
}

// exchange sends a request and returns the frame of its answer, nil if it has none. If lend
// is set, what of it is lent may be missing: then it is in the connection's loan.
func (c *Client) exchange(ctx context.Context, req kmsg.Request, within time.Duration, lend bool) (conn *clientConn, frame *[]byte, err error) {
	if c.cfg.OneAtATime {
		c.settle(ctx)
	}
	if conn, err = c.connected(ctx, within); err == nil {
		if c.cfg.OneAtATime {
			frame, err = conn.askAndRead(ctx, req, within, lend)
		} else {
			frame, err = conn.roundTrip(ctx, req)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyName(req.Key()), err)
	}
	return conn, frame, nil
}

// settle lets the end of the request before, if that has come, end the connection first, and not
// the request that is made with ctx.
func (c *Client) settle(ctx context.Context) {
	c.mu.Lock()
	conn := c.link
	c.mu.Unlock()
	if conn != nil && conn.leash.ctx != ctx {
		conn.unleash()
	}
}

// connected returns a connection that works as far as is known. A dial takes no longer than
// within, if that is not 0.
func (c *Client) connected(ctx context.Context, within time.Duration) (*clientConn, error) {
	if conn, err := c.current(); conn != nil || err != nil {
		return conn, err
	}
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.ctx.Done():
		return nil, ErrClientClosed
	}
	if conn, err := c.current(); conn != nil || err != nil {
		return conn, err // somebody else's dial
	}
	if within > 0 {
		var late context.CancelFunc
		ctx, late = context.WithTimeout(ctx, within)
		defer late()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	nc, err := c.cfg.Dial(ctx)
	if err != nil {
		if c.ctx.Err() != nil {
			err = ErrClientClosed
		}
		return nil, err
	}
	return c.adopt(nc)
}

func (c *Client) current() (*clientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClientClosed
	}
	if c.link == nil || c.link.broken() {
		return nil, nil
	}
	return c.link, nil
}

func (c *Client) adopt(nc net.Conn) (*clientConn, error) {
	conn := newClientConn(nc, c.cfg.ClientID, c.cfg.OneAtATime)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		nc.Close()
		return nil, ErrClientClosed
	}
	c.link = conn
	if c.cfg.OneAtATime {
		return conn, nil
	}
	c.wg.Go(conn.writeRequests)
	c.wg.Go(conn.readResponses)
	return conn, nil
}

// Disconnect closes the connection, if there is one. Requests in flight fail;
// the next one connects anew.
func (c *Client) Disconnect() {
	c.mu.Lock()
	conn := c.link
	c.mu.Unlock()
	if conn != nil {
		conn.fail(net.ErrClosed)
	}
}

// Close closes the connection, fails every request in flight, and joins the
// client's goroutines. Later requests return [ErrClientClosed].
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	conn := c.link
	c.mu.Unlock()
	c.cancel()
	if conn != nil {
		conn.fail(ErrClientClosed)
	}
	c.wg.Wait()
	return nil
}
