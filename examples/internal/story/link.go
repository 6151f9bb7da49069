package story

import (
	"context"
	"net"
	"sync"

	"github.com/brokersim/brokersim"
)

// A Link is the network of one client. Cut it, and for everybody else the client's
// process has crashed: its connections break, it can open none, and so it cannot even
// say goodbye.
type Link struct {
	cluster *brokersim.Cluster

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// NewLink returns a link to a cluster.
func NewLink(c *brokersim.Cluster) *Link { return &Link{cluster: c} }

// Dial fits kgo.Dialer.
func (l *Link) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := l.cluster.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// Cut ends the link for good.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}
