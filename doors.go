package brokersim

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/network"
)

// doors are where one broker accepts its clients. They are opened before anything
// else starts, so that a taken port is found out early, and again by each later
// incarnation, at the same address.
type doors struct {
	on    *network.Host
	hosts []string // nil: in memory
	id    int32
	want  int // port asked for; 0: any

	host string // advertised
	port int32

	mu    sync.Mutex
	ready net.Listener // opened and not yet taken
}

const memoryClientPort = 9092

func newDoors(c *Cluster, on *network.Host, id int32) doors {
	d := doors{on: on, id: id, hosts: c.cfg.hosts, host: reachable(c.cfg.hosts[0])}
	if c.cfg.firstPort > 0 {
		d.want = c.cfg.firstPort + int(id) - 1
	}
	if c.cfg.inMemory {
		d.hosts, d.host, d.port = nil, event.BrokerNode(id), memoryClientPort
	}
	if c.cfg.advertise != "" {
		d.host = c.cfg.advertise
	}
	return d
}

// addr is what clients are told.
func (d *doors) addr() string { return net.JoinHostPort(d.host, strconv.Itoa(int(d.port))) }

// dialAddr is where the broker listens, whatever clients are told.
func (d *doors) dialAddr() string {
	if d.hosts == nil {
		return d.addr()
	}
	return net.JoinHostPort(reachable(d.hosts[0]), strconv.Itoa(int(d.port)))
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

// open listens, unless it does already. The first time settles the port.
func (d *doors) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ready != nil {
		return nil
	}
	l, port, err := d.listen()
	if err != nil {
		return err
	}
	d.ready, d.port, d.want = l, port, int(port)
	return nil
}

// take opens if need be and hands the listener over.
func (d *doors) take() (net.Listener, error) {
	if err := d.open(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.ready
	d.ready = nil
	return l, nil
}

func (d *doors) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ready != nil {
		d.ready.Close()
		d.ready = nil
	}
}

func (d *doors) listen() (net.Listener, int32, error) {
	if d.hosts == nil {
		l, err := d.on.Listen(net.JoinHostPort(event.BrokerNode(d.id), strconv.Itoa(memoryClientPort)), true)
		return l, memoryClientPort, err
	}
	// A free port of the first address may be taken on the second: try another.
	for try := 0; ; try++ {
		l, port, err := d.listenAll()
		if err == nil || d.want != 0 || try == 10 || !errors.Is(err, syscall.EADDRINUSE) {
			return l, port, err
		}
	}
}

// listenAll opens one listener on every address, with the same port.
func (d *doors) listenAll() (net.Listener, int32, error) {
	var open []net.Listener
	var missing error
	port := d.want
	for _, host := range d.hosts {
		l, err := d.on.ListenTCP(net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			open = append(open, l)
			port = l.Addr().(*net.TCPAddr).Port
		case noSuchAddress(err):
			missing = err
		default:
			closeAll(open)
			return nil, 0, d.explain(host, port, err)
		}
	}
	if len(open) == 0 {
		return nil, 0, fmt.Errorf("broker %d: no address to listen on: %w; see Listen", d.id, missing)
	}
	return join(open), int32(port), nil
}

// noSuchAddress reports that this machine has no such address or family.
func noSuchAddress(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func (d *doors) explain(host string, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("broker %d: port %d of %s is taken: end who uses it, or choose others with Ports: %w", d.id, port, host, err)
	}
	return fmt.Errorf("broker %d: listen on %s: %w", d.id, net.JoinHostPort(host, strconv.Itoa(port)), err)
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

// join makes one listener of several. With more than one it has a goroutine for
// each, which Close joins.
func join(ls []net.Listener) net.Listener {
	if len(ls) == 1 {
		return ls[0]
	}
	j := &joined{ls: ls, conns: make(chan accepted), done: make(chan struct{})}
	for _, l := range ls {
		j.wg.Go(func() { j.accept(l) })
	}
	return j
}

type joined struct {
	ls    []net.Listener
	conns chan accepted
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

func (j *joined) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		select {
		case j.conns <- accepted{conn, err}:
		case <-j.done:
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

func (j *joined) Accept() (net.Conn, error) {
	select {
	case a := <-j.conns:
		return a.conn, a.err
	case <-j.done:
		return nil, net.ErrClosed
	}
}

func (j *joined) Close() error {
	j.once.Do(func() {
		close(j.done)
		closeAll(j.ls)
		j.wg.Wait()
	})
	return nil
}

func (j *joined) Addr() net.Addr { return j.ls[0].Addr() }
