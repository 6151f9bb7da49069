package network

import (
	"math/rand/v2"
	"sync"
)

// A Network owns every host, link and connection. Its methods are safe for
// concurrent use. It has no goroutine of its own; those that faults need are
// joined by Close.
type Network struct {
	seed uint64
	wg   sync.WaitGroup

	mu        sync.Mutex
	hosts     map[string]*Host
	links     map[[2]string]*link
	listeners map[string]*listener // memory addresses
	faults    []*fault
	changed   chan struct{} // closed and replaced when a waiting dial should look again
	closed    bool
	ports     int // the last ephemeral port of memory connections
}

// New returns a network without hosts or faults. The seed decides jitter and loss.
func New(seed uint64) *Network {
	return &Network{
		seed:      seed,
		hosts:     make(map[string]*Host),
		links:     make(map[[2]string]*link),
		listeners: make(map[string]*listener),
		changed:   make(chan struct{}),
		ports:     49151,
	}
}

// Host returns the host of that name; it is made when first named.
func (n *Network) Host(name string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hostLocked(name)
}

func (n *Network) hostLocked(name string) *Host {
	h := n.hosts[name]
	if h == nil {
		h = &Host{net: n, name: name, ends: make(map[end]struct{}), tcp: make(map[*tcpListener]struct{})}
		n.hosts[name] = h
	}
	return h
}

// Close heals every fault, resets every connection and waits for every
// goroutine of the network.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	faults := n.faults
	n.faults = nil
	hosts := make([]*Host, 0, len(n.hosts))
	for _, h := range n.hosts {
		hosts = append(hosts, h)
	}
	n.mu.Unlock()
	for _, f := range faults {
		f.end()
	}
	n.reshape()
	for _, h := range hosts {
		h.Kill()
	}
	n.wg.Wait()
	return nil
}

// link returns the direction between two hosts.
func (n *Network) link(from, to string) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.linkLocked(from, to)
}

func (n *Network) linkLocked(from, to string) *link {
	key := [2]string{from, to}
	l := n.links[key]
	if l == nil {
		l = &link{network: n, from: from, to: to, pipes: make(map[*pipe]struct{}),
			rng: rand.New(rand.NewPCG(n.seed, uint64(len(n.links))))}
		l.shape.Store(n.shapeLocked(from, to))
		n.links[key] = l
	}
	return l
}

// wakeDialsLocked lets every waiting dial look again.
func (n *Network) wakeDialsLocked() {
	close(n.changed)
	n.changed = make(chan struct{})
}
