package brokersim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// A Cluster is a running cluster: coordinator nodes, brokers, and the network
// and the disks between and below them. Its methods are safe for concurrent use.
//
// Its own goroutines are one for each writer of TraceTo; all others belong to
// nodes and to the network. Close joins every one.
type Cluster struct {
	cfg     config
	configs *metadata.BrokerConfig
	id      string // Kafka's cluster id
	label   string // of every goroutine that the cluster starts

	data    *dataDir // nil: memory
	events  *event.Log
	faults  *faults
	network *network.Network
	clients *network.Host

	nodes   []*Node
	brokers []*Broker

	tracing sync.WaitGroup
	begun   atomic.Bool // New has started every node
	closing sync.Once
	life    context.Context // ends when Close begins
	end     context.CancelFunc
	result  error

	newest newest
	groups groupBook
}

// New starts a cluster and returns once every broker is unfenced and every Topic
// has a leader and a full ISR. If it fails or ctx ends, nothing stays behind.
// The caller must Close it; in tests brokertest.Start does.
func New(ctx context.Context, opts ...Option) (*Cluster, error) {
	cfg := defaults()
	for _, o := range opts {
		if o != nil {
			o.apply(&cfg)
		}
	}
	configs, err := cfg.resolve()
	if err != nil {
		return nil, fmt.Errorf("brokersim: %w", err)
	}
	var data *dataDir
	if cfg.dataDir != nil {
		if data, err = openDataDir(cfg, configs); err != nil {
			return nil, fmt.Errorf("brokersim: %w", err)
		}
	}
	c := build(cfg, configs, data)
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("brokersim: %w", err)
	}
	return c, nil
}

// build lays out the machines; none of them runs yet.
func build(cfg config, configs *metadata.BrokerConfig, data *dataDir) *Cluster {
	c := &Cluster{
		cfg: cfg, configs: configs, data: data,
		events: event.NewLog(cfg.eventCapacity),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.id = metadata.NewUUID(rand.New(rand.NewPCG(c.seed("cluster"), cfg.seed))).String()
	if data != nil {
		c.id = data.identity.ClusterID
	}
	c.label = fmt.Sprintf("%s@%p", c.id, c)
	c.faults = &faults{events: c.events}
	c.network = network.New(c.seed("network"))
	c.clients = c.network.Host(string(Clients))
	for i := range cfg.coordinators {
		c.nodes = append(c.nodes, newNode(c, int32(i+1)))
	}
	for i := range cfg.brokers {
		c.brokers = append(c.brokers, newBroker(c, int32(i+1)))
	}
	return c
}

// start starts every node at once and waits until the cluster is whole.
func (c *Cluster) start(ctx context.Context) error {
	for _, w := range c.cfg.trace {
		c.tracing.Go(func() {
			if err := event.Trace(w, c.events.Since(context.Background(), 0)); err != nil {
				c.cfg.logger.Error("the trace ends early", "error", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(ctx, c.patience())
	defer cancel()
	if err := c.startNodes(ctx); err != nil {
		return err
	}
	if err := c.Wait(ctx, All(c.registeredAnew(), FullISR())); err != nil {
		return err
	}
	missing, err := c.missingTopics()
	if err != nil {
		return err
	}
	if err := c.createTopics(ctx, missing); err != nil {
		return err
	}
	return c.Wait(ctx, All(FullISR(), everybodyKnows()))
}

// startNodes opens every door first: a port that is taken, the commonest mistake,
// is found out before anything runs. The coordinator elects at once, in a few
// milliseconds; brokers that came sooner would find nobody and rest before they
// ask again.
func (c *Cluster) startNodes(ctx context.Context) error {
	var nodes, brokers []func() error
	for _, n := range c.nodes {
		r, err := n.prepare()
		if err != nil {
			return err
		}
		nodes = append(nodes, func() error { return n.process.begin(r) })
	}
	for _, b := range c.brokers {
		r, err := b.prepare()
		if err != nil {
			return err
		}
		brokers = append(brokers, func() error { return b.process.begin(r) })
	}
	if c.data != nil {
		if err := c.data.begin(); err != nil {
			return err
		}
	}
	if err := together(nodes); err != nil {
		return err
	}
	if err := c.Wait(ctx, ActiveCoordinator()); err != nil {
		return err
	}
	if err := together(brokers); err != nil {
		return err
	}
	c.begun.Store(true)
	if c.data == nil {
		return nil
	}
	return c.data.begun()
}

// registeredAnew holds when the coordinator knows the processes that run now: that of
// a continued cluster remembers those before them.
func (c *Cluster) registeredAnew() Cond {
	return func(s Snapshot) (bool, string) {
		for _, b := range c.brokers {
			run, up := b.running()
			state, known := s.Broker(b.id)
			if !up || !known || state.Epoch != run.Epoch() {
				return false, fmt.Sprintf("broker %d to register", b.id)
			}
		}
		return true, ""
	}
}

// patience is how long a step that should take a moment may take at most.
func (c *Cluster) patience() time.Duration {
	return max(30*time.Second, 30*c.configs.SessionTimeout)
}

// Close ends the coordinator, then stops every broker at once and in good order,
// ISRs untouched, and returns when no goroutine of the cluster is left. It may be
// called more than once.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		c.events.Close() // what an ending cluster does is of no interest
		c.end()
		c.faults.healAll()
		// The coordinator first: nobody is left then to fence the brokers that follow.
		var ends []func() error
		for _, n := range c.nodes {
			ends = append(ends, n.close)
		}
		errs := []error{together(ends)}
		ends = nil
		for _, b := range c.brokers {
			ends = append(ends, b.close)
		}
		errs = append(errs, together(ends))
		c.network.Close()
		c.tracing.Wait()
		if c.data != nil {
			errs = append(errs, c.data.close())
		}
		c.result = errors.Join(errs...)
	})
	return c.result
}

// isClosing reports whether Close was called.
func (c *Cluster) isClosing() bool { return c.life.Err() != nil }

// together calls every f at once and returns when all have.
func together(fs []func() error) error {
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Addrs are the brokers' addresses for clients, also known as bootstrap.servers.
// A broker keeps its address for life.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addrs[i] = b.Addr()
	}
	return addrs
}

// dialPatience is how long Dial waits for an answer: as long as kgo's own dialer,
// which gives its hook a context without an end.
const dialPatience = 10 * time.Second

// Dial connects a client to an address that the cluster gave out. It fits
// kgo.Dialer and other clients' dial hooks. Without InMemoryClients a client may
// as well dial by itself. Where nobody answers, it gives up after ten seconds.
func (c *Cluster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if c.cfg.inMemory {
		return c.clients.DialContext(ctx, network, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// Broker returns the broker with that id, or nil.
func (c *Cluster) Broker(id int32) *Broker {
	if id < 1 || int(id) > len(c.brokers) {
		return nil
	}
	return c.brokers[id-1]
}

// Brokers returns every broker, by id.
func (c *Cluster) Brokers() []*Broker { return append([]*Broker(nil), c.brokers...) }

// Leader returns the broker that leads the partition, or nil while nobody does.
func (c *Cluster) Leader(topic string, partition int32) *Broker {
	return c.Broker(c.Partition(topic, partition).Leader)
}

// Followers returns the assigned brokers that do not lead, in order of preference.
func (c *Cluster) Followers(topic string, partition int32) []*Broker {
	p := c.Partition(topic, partition)
	var followers []*Broker
	for _, id := range p.Assigned {
		if id != p.Leader {
			followers = append(followers, c.Broker(id))
		}
	}
	return followers
}

// Coordinator returns the coordinator: the quorum of nodes that decides who
// leads what.
func (c *Cluster) Coordinator() *Quorum { return &Quorum{c} }

// Net returns the network between all nodes and the clients.
func (c *Cluster) Net() *Network { return &Network{c} }

// Heal ends every fault still in force and resumes every paused node. It starts
// no node that is down.
func (c *Cluster) Heal() {
	c.faults.healAll()
	for _, n := range c.nodes {
		n.Resume()
	}
	for _, b := range c.brokers {
		b.Resume()
	}
}

// Events yields every event after the one numbered since (0: all that are still
// remembered) and waits for more, until ctx ends or the cluster closes. A reader
// who falls behind gets one event of kind event.Lost with the count.
func (c *Cluster) Events(ctx context.Context, since uint64) iter.Seq[Event] {
	return c.events.Since(ctx, since)
}

// Watch asks for events of a kind that is too frequent to be emitted unasked
// (event.HWAdvanced), until stop is called.
func (c *Cluster) Watch(kind event.Kind) (stop func()) { return c.events.Watch(kind) }

// seed derives the seed of one part of the cluster.
func (c *Cluster) seed(part string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(part))
	return h.Sum64() ^ c.cfg.seed*0x9e3779b97f4a7c15
}

// disk is a node's.
func (c *Cluster) disk(node string) disk {
	if c.data != nil {
		return &lasting{c.data.disks[node], c.data.path("." + node + wipedSuffix)}
	}
	return memory{vfs.NewMem(c.seed("disk of " + node))}
}

func newProcess[R interface{ Close() error }](c *Cluster, name string, kinds kinds) process[R] {
	return process[R]{
		name: name, kinds: kinds, label: c.label,
		events: c.events, log: c.cfg.logger.Handler(), closing: c.isClosing,
		host: c.network.Host(name), disk: c.disk(name),
		verb:  make(chan struct{}, 1),
		state: Stopped,
	}
}
