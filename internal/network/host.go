package network

import (
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/brokersim/brokersim/internal/gate"
)

// A Host is one machine of the network: "broker-1", "coordinator-2",
// "clients". Its methods are safe for concurrent use.
type Host struct {
	net  *Network
	name string

	// Guarded by net.mu.
	gate  *gate.Gate
	power power
	ends  map[end]struct{} // the connection ends on this host
	tcp   map[*tcpListener]struct{}
}

type power int

const (
	running power = iota
	dead          // its process is gone: connections are refused
	off           // silence
)

// An end is one side of a connection, as its host sees it.
type end interface {
	abort()                   // reset it; the peer hears so as far as the links allow
	silence()                 // fail it here; the peer hears nothing
	route() (from, to string) // from this host to the peer's
	dialed() bool             // this side stands for the connection when each counts once
	serial() int
}

// Name returns the host's name.
func (h *Host) Name() string { return h.name }

// Attach names the gate of the incarnation that listens and dials from now on.
// While it is paused no byte enters or leaves the node.
func (h *Host) Attach(g *gate.Gate) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.gate = g
}

// Kill ends the host's process: listeners close, then connections are reset,
// and dials are refused until Revive.
func (h *Host) Kill() {
	ends := h.fall(dead)
	for _, e := range ends {
		e.abort()
	}
}

// PowerOff silences the host: its connections fail at its own side only, and
// dials to it hang until Revive.
func (h *Host) PowerOff() {
	ends := h.fall(off)
	for _, e := range ends {
		e.silence()
	}
}

// Revive lets the host listen and dial again. What had survived a PowerOff at
// the peers is reset, as a rebooted machine resets what it does not know.
func (h *Host) Revive() {
	ends := h.fall(dead)
	for _, e := range ends {
		e.abort()
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.power = running
	h.net.wakeDialsLocked()
}

// fall closes the host's listeners, marks it, and returns the ends of its
// connections, oldest first.
func (h *Host) fall(to power) []end {
	n := h.net
	n.mu.Lock()
	if h.power == off && to == off {
		n.mu.Unlock()
		return nil
	}
	h.power = to
	var memory []*listener
	for addr, l := range n.listeners {
		if l.host == h {
			memory = append(memory, l)
			delete(n.listeners, addr)
		}
	}
	sockets := slices.Collect(maps.Keys(h.tcp))
	if to == dead {
		clear(h.tcp)
	}
	n.wakeDialsLocked()
	n.mu.Unlock()

	for _, l := range sockets {
		if to == off {
			l.silence()
		} else {
			l.shut()
		}
	}
	for _, l := range memory {
		l.shut()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	ends := slices.Collect(maps.Keys(h.ends))
	slices.SortFunc(ends, func(a, b end) int { return a.serial() - b.serial() })
	return ends
}

func (h *Host) forget(e end) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	delete(h.ends, e)
}

// An addr is an address of a memory connection.
type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }

// hostOf returns the host's name in a memory address.
func hostOf(address string) (string, error) {
	name, port, err := net.SplitHostPort(address)
	if err == nil && (name == "" || port == "" || strings.ContainsAny(name, ":/")) {
		err = &net.AddrError{Err: "want host:port", Addr: address}
	}
	return name, err
}

func opError(op, address string, err error) error {
	return &net.OpError{Op: op, Net: "memory", Addr: addr(address), Err: err}
}

var errReset error = syscall.ECONNRESET
