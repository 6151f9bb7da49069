package coordinator

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// stream is the raft.StreamLayer over the node's listener and dial function. It
// knows every connection that is open either way, so that closing it ends
// whatever Raft is waiting for, and waits for Raft's handlers of accepted ones.
type stream struct {
	net.Listener
	addr   string // what peers call this node
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu       sync.Mutex
	closed   bool
	conns    map[*streamConn]bool
	handlers sync.WaitGroup // accepted connections whose handler runs
}

func newStream(l net.Listener, addr string, dial func(context.Context, string, string) (net.Conn, error)) *stream {
	s := &stream{Listener: l, addr: addr, dial: dial, conns: map[*streamConn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Addr is the name by which the peers know this node.
func (s *stream) Addr() net.Addr { return streamAddr(s.addr) }

type streamAddr string

func (streamAddr) Network() string  { return "raft" }
func (a streamAddr) String() string { return string(a) }

// Accept waits for the next connection of a peer.
func (s *stream) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return s.track(c, true)
}

// Dial connects to a peer.
func (s *stream) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	defer cancel()
	c, err := s.dial(ctx, "tcp", string(address))
	if err != nil {
		return nil, err
	}
	return s.track(c, false)
}

func (s *stream) track(c net.Conn, accepted bool) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	tracked := &streamConn{Conn: c, stream: s, accepted: accepted}
	s.conns[tracked] = true
	if accepted {
		s.handlers.Add(1)
	}
	return tracked, nil
}

// Close ends the listener, every connection and every dial under way. It does not wait.
func (s *stream) Close() error {
	s.mu.Lock()
	s.closed = true
	open := make([]net.Conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c.Conn)
	}
	s.mu.Unlock()
	s.cancel()
	err := s.Listener.Close()
	for _, c := range open {
		c.Close()
	}
	return err
}

// wait returns once the handler of every accepted connection has ended. Call it after Close.
func (s *stream) wait() { s.handlers.Wait() }

// A streamConn tells its stream when the one who uses it is done with it.
type streamConn struct {
	net.Conn
	stream   *stream
	accepted bool
}

func (c *streamConn) Close() error {
	c.stream.mu.Lock()
	known := c.stream.conns[c]
	delete(c.stream.conns, c)
	c.stream.mu.Unlock()
	if known && c.accepted {
		defer c.stream.handlers.Done()
	}
	return c.Conn.Close()
}
