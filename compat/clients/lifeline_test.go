package clients

import (
	"context"
	"errors"
	"net"
	"sync"
)

// A lifeline is how a member reaches the brokers. When it is cut the member is, for them,
// a process that was killed.
type lifeline struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

var errCut = errors.New("the lifeline is cut")

// DialContext dials for the member, as long as it lives.
func (l *lifeline) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		conn.Close()
		return nil, errCut
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// Dial is DialContext for who has no context.
func (l *lifeline) Dial(network, addr string) (net.Conn, error) {
	return l.DialContext(context.Background(), network, addr)
}

// cut ends every connection and lets no other one begin.
func (l *lifeline) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for _, conn := range l.conns {
		conn.Close()
	}
}
