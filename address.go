package brokersim

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/network"
)

// An address is where one broker accepts its clients. The first incarnation
// settles the port, later ones use it again.
type address struct {
	on    *network.Host
	id    int32
	hosts []string // to listen on; nil: in memory
	want  int      // port to listen on; 0: any

	host string // that clients are told
	port int32
}

const memoryClientPort = 9092

func newAddress(c *Cluster, on *network.Host, id int32) address {
	a := address{on: on, id: id, hosts: c.cfg.hosts, host: reachable(c.cfg.hosts[0])}
	if c.cfg.firstPort > 0 {
		a.want = c.cfg.firstPort + int(id) - 1
	}
	if c.cfg.inMemory {
		a.hosts, a.host, a.port = nil, event.BrokerNode(id), memoryClientPort
	}
	if c.cfg.advertise != "" {
		a.host = c.cfg.advertise
	}
	return a
}

// told is what clients are told.
func (a *address) told() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

// toDial is where the broker listens, whatever clients are told.
func (a *address) toDial() string {
	if a.hosts == nil {
		return a.told()
	}
	return net.JoinHostPort(reachable(a.hosts[0]), strconv.Itoa(int(a.port)))
}

// reachable is an address to dial for one to listen on: "every interface" is none.
func reachable(host string) string {
	ip := net.ParseIP(host)
	switch {
	case ip == nil || !ip.IsUnspecified():
		return host
	case ip.To4() != nil:
		return "127.0.0.1"
	}
	return "::1"
}

// open listens. The first call, before anybody can ask, settles the port.
func (a *address) open() (net.Listener, error) {
	l, port, err := a.listen()
	if err == nil && a.port == 0 {
		a.port, a.want = port, int(port)
	}
	return l, err
}

func (a *address) listen() (net.Listener, int32, error) {
	if a.hosts == nil {
		l, err := a.on.Listen(net.JoinHostPort(event.BrokerNode(a.id), strconv.Itoa(memoryClientPort)), true)
		return l, memoryClientPort, err
	}
	// A free port of the first address may be taken on the second: try another.
	for try := 0; ; try++ {
		l, port, err := a.listenAll()
		if err == nil || a.want != 0 || try == 10 || !errors.Is(err, syscall.EADDRINUSE) {
			return l, port, err
		}
	}
}

// listenAll opens one listener on every address, with the same port.
func (a *address) listenAll() (net.Listener, int32, error) {
	var open []net.Listener
	var missing error
	port := a.want
	for _, host := range a.hosts {
		l, err := a.on.ListenTCP(net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			open = append(open, l)
			port = l.Addr().(*net.TCPAddr).Port
		case noSuchAddress(err):
			missing = err
		default:
			closeAll(open)
			return nil, 0, a.explain(host, port, err)
		}
	}
	if len(open) == 0 {
		return nil, 0, fmt.Errorf("no address to listen on, see Listen: %w", missing)
	}
	return join(open), int32(port), nil
}

// noSuchAddress reports that this machine has no such address or family.
func noSuchAddress(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func (a *address) explain(host string, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d of %s is taken: end who uses it, or choose others with Ports: %w", port, host, err)
	}
	return fmt.Errorf("listen on %s: %w", net.JoinHostPort(host, strconv.Itoa(port)), err)
}
