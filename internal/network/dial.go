package network

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

// connectTimeout is how long a dial without a deadline waits for an answer, as
// Linux does.
const connectTimeout = 127 * time.Second

// DialContext connects to a memory address, or, if address names localhost or
// an IP address, through a real socket. A dial to a host that is dead is refused; to one that
// is off, cut away, or does not accept, it hangs until ctx ends or two minutes
// have passed.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, err := hostOf(address)
	if err != nil {
		return nil, opError("dial", address, err)
	}
	if name == "localhost" || net.ParseIP(name) != nil {
		return h.dialTCP(ctx, network, address)
	}
	c, err := h.dial(ctx, name, address)
	if err != nil {
		return nil, opError("dial", address, err)
	}
	return c, nil
}

func (h *Host) dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	if err := h.currentGate().Pass(); err != nil {
		return nil, opError("dial", address, err)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func (h *Host) dial(ctx context.Context, name, address string) (*conn, error) {
	g := h.currentGate()
	if err := g.Pass(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, syscall.ETIMEDOUT)
	defer cancel()
	there, back := h.net.link(h.name, name), h.net.link(name, h.name)
	if err := sleep(ctx, there.delay()+back.delay()); err != nil {
		return nil, err
	}
	for {
		c, changed, err := h.try(g, name, address, there, back)
		if changed == nil {
			if err == nil {
				err = g.Pass()
			}
			if err != nil && c != nil {
				c.abort()
				c = nil
			}
			return c, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-g.Done():
			return nil, net.ErrClosed
		}
	}
}

// try connects if the world allows it now. A channel means that nobody
// answers: wait for it, then try again.
func (h *Host) try(g *gate.Gate, name, address string, there, back *link) (*conn, <-chan struct{}, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	target := n.hosts[name]
	switch {
	case n.closed || h.power != running || h.gate != g || g.IsShut():
		return nil, nil, net.ErrClosed
	case target == nil:
		return nil, nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	case target.power == off || there.held() || back.held():
		return nil, n.changed, nil
	}
	l := n.listeners[address]
	if l == nil {
		return nil, nil, syscall.ECONNREFUSED
	}
	if l.gate.IsShut() || len(l.queue) == cap(l.queue) {
		l.starved = true
		return nil, n.changed, nil
	}
	n.ports++
	client, server := connect(h, target, address, l.framed, n.ports, there, back)
	client.setGate(g)
	server.setGate(l.gate)
	h.ends[client], target.ends[server] = struct{}{}, struct{}{}
	l.queue <- server // only try sends, under the lock, and there is room
	return client, nil, nil
}

func (h *Host) currentGate() *gate.Gate {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.gate
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
