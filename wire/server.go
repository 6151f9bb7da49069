package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ServerConfig says what a [Server] serves.
type ServerConfig struct {
	Listener net.Listener
	Name     string // of the listener, as Kafka names them: INTERNAL, CLIENTS
	Handler  Handler

	// Versions gives the accepted versions of a key; ok is false for a key
	// that is not served. nil: whatever kmsg can decode.
	Versions func(key int16) (low, high int16, ok bool)

	// Prompt tells of a key whose handler needs nothing but this node's own disk to begin: it may
	// keep the connection from being read. nil: no handler is like that.
	Prompt func(key int16) bool

	MaxRequestBytes int          // default DefaultMaxRequestBytes
	Logger          *slog.Logger // default: discard
	OnClose         func(*Conn)  // called when all of a connection's goroutines but one have ended
}

// A Server speaks Kafka's protocol on one listener. It has one goroutine per
// connection for reading ahead, which handles what is prompt, one for other handlers and one
// for writing; Serve runs in its caller's. Close joins them all.
type Server struct {
	cfg    ServerConfig
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections, and Serve

	mu     sync.Mutex
	conns  map[*Conn]struct{}
	closed bool
}

// NewServer returns a server that Serve starts.
func NewServer(cfg ServerConfig) *Server {
	if cfg.MaxRequestBytes <= 0 {
		cfg.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, conns: make(map[*Conn]struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// prompt reports whether a frame holds a request that may be handled by who reads.
func (s *Server) prompt(frame []byte) bool {
	return s.cfg.Prompt != nil && len(frame) >= 2 && s.cfg.Prompt(int16(binary.BigEndian.Uint16(frame)))
}

// Serve accepts connections until Close, and then returns nil. Another failure
// of the listener is returned; the connections then go on until Close.
func (s *Server) Serve() error {
	if !s.enter() {
		return nil
	}
	defer s.wg.Done()
	for {
		nc, err := s.cfg.Listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil {
				return nil
			}
			if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || isTemporary(err) {
				s.pause()
				continue
			}
			return err
		}
		s.start(nc)
	}
}

// enter counts a goroutine that Close must wait for, unless it is too late.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// isTemporary reports errors of accept after which the next one may succeed:
// out of file descriptors, or the peer gave up in the queue.
func isTemporary(err error) bool {
	t, ok := err.(interface{ Temporary() bool })
	return ok && t.Temporary()
}

// pause waits a little before accepting again.
func (s *Server) pause() {
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// versions returns what is accepted of a key.
func (s *Server) versions(key int16) (low, high int16, ok bool) {
	req := kmsg.RequestForKey(key)
	switch {
	case req == nil:
		return 0, 0, false
	case s.cfg.Versions == nil:
		return 0, req.MaxVersion(), true
	}
	low, high, ok = s.cfg.Versions(key)
	return low, min(high, req.MaxVersion()), ok
}

func (s *Server) start(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// Close closes the listener and every connection, and waits for everything
// that the server has begun. The contexts of handlers end first.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	s.cancel()
	err := s.cfg.Listener.Close()
	for _, c := range conns {
		c.Close()
	}
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// Conns returns the connections that are open now, in no order.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}
