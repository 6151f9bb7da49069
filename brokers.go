package brokersim

import (
	"context"
	"fmt"
	"net"

	"github.com/brokersim/brokersim/broker"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
)

// A Broker is one broker: a process with a disk and an address.
type Broker struct {
	process[*broker.Broker]
	c       *Cluster
	id      int32
	address address
}

var brokerKinds = kinds{
	started: event.BrokerStarted, killed: event.BrokerKilled, poweredOff: event.BrokerPoweredOff,
	paused: event.BrokerPaused, resumed: event.BrokerResumed, failed: event.BrokerFailed,
}

func newBroker(c *Cluster, id int32) *Broker {
	b := &Broker{process: newProcess[*broker.Broker](c, event.BrokerNode(id), brokerKinds), c: c, id: id}
	b.address = newAddress(c, b.host, id)
	b.listen, b.launch = b.openDoors, b.begin
	return b
}

func (b *Broker) openDoors() ([]net.Listener, error) {
	internal, err := b.host.Listen(fmt.Sprintf("%s:%d", b.name, rpcPort), true)
	if err != nil {
		return nil, err
	}
	clients, err := b.address.open()
	if err != nil {
		internal.Close()
		return nil, err
	}
	return []net.Listener{internal, clients}, nil
}

func (b *Broker) begin(in incarnation, doors []net.Listener) (*broker.Broker, error) {
	var coordinators []string
	for _, p := range b.c.peers() {
		coordinators = append(coordinators, p.RPC)
	}
	return broker.Start(broker.Config{
		ID: b.id, Rack: b.c.cfg.rack(b.id), ClusterID: b.c.id,
		Listeners: []broker.Listener{
			{Name: metadata.InternalListener, Listener: doors[0], Host: b.name, Port: rpcPort},
			{Name: metadata.ClientListener, Listener: doors[1], Host: b.address.host, Port: b.address.port},
		},
		Dial: in.dial, Coordinators: coordinators, FS: in.fs, Gate: in.gate, Events: in.events,
		Config: b.c.configs, Logger: in.logger, Seed: b.c.seed(b.name), Failed: in.failed,
	})
}

// ID is the broker's id.
func (b *Broker) ID() int32 { return b.id }

// Name is the broker's name in events and on the network, as in "broker-1".
func (b *Broker) Name() string { return b.name }

// Addr is the address that clients reach the broker at.
func (b *Broker) Addr() string { return b.address.told() }

// Process says what has become of the broker's process.
func (b *Broker) Process() Process { return b.now() }

// Start starts the broker again, with the same id, address and disk. It returns
// as soon as the process serves; wait for Registered or FullISR to see it back.
func (b *Broker) Start() error { return b.start() }

// Stop shuts the broker down in good order: it hands over what it leads, leaves
// the ISRs, syncs its disk and ends. If the coordinator does not let it go in
// time, it ends all the same and the error says so.
func (b *Broker) Stop() error { return b.stop() }

// Kill ends the broker's process at once: its port refuses connections, and what
// it wrote stays, as in a page cache.
func (b *Broker) Kill() error { return b.kill() }

// PowerOff ends the broker silently: its peers hear nothing more, and what was not
// synced is lost.
func (b *Broker) PowerOff() error { return b.powerOff() }

// Pause holds every byte, disk call and timer of the broker until Resume, like
// SIGSTOP or a long garbage collection. The broker must run; otherwise nothing happens.
func (b *Broker) Pause() { b.pause() }

// Resume lets a paused broker go on.
func (b *Broker) Resume() { b.resume() }

// Wipe takes the broker's disk away and gives it an empty one. The broker must be down.
func (b *Broker) Wipe() error { return b.wipe() }

// Isolate cuts the broker off from every other broker and the coordinator. Its
// clients stay connected on purpose: a zombie leader is only interesting if
// somebody still writes to it. To cut clients too, use Net().Cut.
func (b *Broker) Isolate() *Fault { return b.c.isolate(b.name) }

// Disk is the broker's disk, to make it ill.
func (b *Broker) Disk() *Disk { return &Disk{b.c, b.name, &b.ill} }

func (b *Broker) stop() error {
	defer b.hold()()
	if state := b.now(); state != Running {
		return fmt.Errorf("%s cannot stop in good order: it is %s", b.words(), state)
	}
	run, _ := b.running()
	ctx, cancel := context.WithTimeout(b.c.life, b.c.patience())
	defer cancel()
	shutdown := run.Shutdown(ctx)
	err := b.end(Stopped, b.host.Kill)
	b.emit(event.BrokerStopped)
	if shutdown != nil {
		return fmt.Errorf("stop %s: %w", b.words(), shutdown)
	}
	return err
}

func (b *Broker) close() error {
	return b.process.close((*broker.Broker).Stop)
}
