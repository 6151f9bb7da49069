package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/broker/groups"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// A Listener is one of a broker's doors: where it accepts, and the address that
// it tells others to use for it.
type Listener struct {
	Name string // metadata.InternalListener or metadata.ClientListener
	net.Listener
	Host string
	Port int32
}

// Config is what a broker is given. It holds no pointer to another node.
type Config struct {
	ID        int32
	Rack      string
	ClusterID string

	Listeners    []Listener
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	Coordinators []string // RPC addresses of the coordinator nodes

	FS     vfs.FS
	Gate   *gate.Gate // of this incarnation; nil is always open
	Events event.Sink // nil discards
	Config *metadata.BrokerConfig
	Logger *slog.Logger // nil discards
	Seed   uint64       // of jitter

	// Failed is called at most once, when the broker cannot go on: its disk broke
	// or the cluster is not the one that it knows. It is called from one of the
	// broker's goroutines, so it must leave the closing to another one.
	Failed func(error)
}

// A Broker hosts replicas and serves clients and other brokers. Its goroutines,
// all joined by Close, Stop and Shutdown:
//
//   - those of a wire.Server for each listener, which run the handlers;
//   - the session: registration and heartbeats, on a connection of their own;
//   - the metadata follower, which also instructs the replicas;
//   - a fetcher for each broker that leads something this broker follows;
//   - the alterer, which carries ISR changes to the coordinator;
//   - the settler of new roles, the ticker, the flusher, the checkpointer, the
//     expirer of producers, the remover of old segments and that of dropped logs, the scrubber, the
//     cleaner;
//   - of the groups: one for each partition of __consumer_offsets that is being read, the
//     expirer of offsets, and the one that tells of members who commit;
//   - those of a wire.Client for each connection to another node.
type Broker struct {
	cfg  Config
	node string // its name in events

	ctx    context.Context // ends with the broker
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ended  sync.Once // by end
	broken atomic.Bool

	epoch    atomic.Int64 // broker epoch; -1 before the first registration
	images   *images
	replicas *replicaTable
	session  *session
	follower *metadataFollower
	alterer  *alterer
	flusher  *flusher
	cleaner  *cleaner
	ids      *producerIDs
	groups   *groups.Groups
	points   *recoveryPoints
	recheck  chan struct{}       // one slot: replicas should be ticked now
	requests *coordinatorChannel // for what a client's request needs of the coordinator
	channels []*coordinatorChannel
	servers  []*wire.Server

	apis apis // what the handlers remember between requests; see dispatch.go
}

// Start recovers the logs on the disk, begins to serve and registers the broker
// in the background. It fails if the disk does or is another broker's. The broker
// owns the listeners from here on, also when Start fails.
func Start(cfg Config) (*Broker, error) {
	b := newBroker(cfg)
	identity, v, err := b.openDisk()
	if err != nil {
		b.cancel()
		b.replicas.closeLogs()
		for _, l := range b.cfg.Listeners {
			l.Close()
		}
		return nil, fmt.Errorf("starting %s: %w", b.node, err)
	}
	b.cfg.Logger.Info("starting", "clean", v.clean, "why", v.why, "last-epoch", v.epoch)
	b.session.directory, b.session.previous, b.session.before = identity.directory, v.previousEpoch(), v.epoch
	b.initAPIs()
	b.serve()
	b.goRun("the session", b.session.run)
	b.goRun("following the metadata log", b.follower.run)
	b.goRun("changing ISRs", b.alterer.run)
	b.goRun("ticking", b.tick)
	b.goRun("deleting old segments", b.retain)
	b.goRun("compacting", b.cleaner.run)
	b.goRun("writing checkpoints", b.checkpoint)
	b.goRun("expiring producers", b.expireProducers)
	b.goRun("removing logs", b.replicas.removals.run)
	b.goRun("settling roles", b.replicas.settling.run)
	b.goRun("scrubbing logs", b.replicas.scrubs.run)
	b.goRun("flushing", b.flusher.run)
	b.goRun("forgetting offsets", b.groups.Expire)
	b.goRun("keeping members alive", b.groups.KeepAlive)
	return b, nil
}

// newBroker puts the parts together; nothing runs yet.
func newBroker(cfg Config) *Broker {
	if cfg.Events == nil {
		cfg.Events = event.Discard
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With("node", event.BrokerNode(cfg.ID))
	b := &Broker{cfg: cfg, node: event.BrokerNode(cfg.ID), recheck: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.epoch.Store(-1)
	b.images = newImages(metadata.NewImage(cfg.ClusterID))
	b.connectParts()
	return b
}

func (b *Broker) connectParts() {
	cfg, q := b.cfg, newQuorum(b.cfg.Coordinators)
	session := cfg.Config.SessionTimeout
	heartbeats := newCoordinatorChannel(cfg, q, 1, session/2)
	following := newCoordinatorChannel(cfg, q, 2, cfg.Config.ReplicaFetchWaitMax+session/2)
	altering := newCoordinatorChannel(cfg, q, 3, session)
	b.requests = newCoordinatorChannel(cfg, q, 4, session)
	relays := newCoordinatorChannel(cfg, q, 5, 0)
	beats := newCoordinatorChannel(cfg, q, 6, session)
	b.channels = []*coordinatorChannel{heartbeats, following, altering, b.requests, relays, beats}

	b.alterer = newAlterer(cfg, b.epoch.Load, altering.Do, b.images.learned.Load, b.replica)
	b.ids = newProducerIDs(cfg.ID, b.epoch.Load, b.requests.Do)
	b.replicas = &replicaTable{
		cfg: cfg, node: b.node, epoch: b.epoch.Load, images: b.images,
		propose: b.alterer.propose, recheck: b.recheckSoon, configured: func() { b.flusher.configured() }, failed: b.fail,
		removals: newRemovals(cfg.FS, func() error { return b.replicas.writeMarks() }, b.fail), settling: newSettling(),
		scrubs: newScrubber(cfg.Gate.Pass), starts: newLogStarts(cfg.FS), marks: newMarksFile(cfg.FS), cleaned: newCleaned(cfg.FS),
		fetchers: &fetchers{
			cfg: cfg, node: b.node, ctx: b.ctx, join: &b.wg, epoch: b.epoch.Load,
			image: b.images.learned.Load, running: map[int32]*fetching{},
		},
		tails: partition.NewTails(tailMemory), found: map[string]*foundLog{},
	}
	b.replicas.fetchers.starts = b.replicas
	b.replicas.removals.forget = b.replicas.cleaned.forget
	b.points = &recoveryPoints{keptCheckpoint: newKeptCheckpoint(cfg.FS, recoveryPointsFile)}
	b.flusher = newFlusher(b.replicas, cfg.Gate.Pass)
	b.cleaner = newCleaner(cfg, b.node, b.replicas)
	b.groups = groups.New(b.ctx, groups.Config{
		ID: cfg.ID, Node: b.node, Config: cfg.Config, Gate: cfg.Gate, Events: cfg.Events, Logger: cfg.Logger, Join: &b.wg,
		Image: b.image, Until: b.until, Relays: relays, Beats: beats, Standing: q.standing,
		Replica: b.replica, CreateTopic: b.createTopic, Guarded: b.guarded,
	})
	b.session = newSession(cfg, heartbeats, &b.epoch, b.images, b.rememberEpoch)
	b.follower = &metadataFollower{
		self: cfg.ID, cluster: cfg.ClusterID, channel: following, wait: cfg.Config.ReplicaFetchWaitMax,
		epoch: b.epoch.Load, logger: cfg.Logger, images: b.images, next: b.images.learned.Load(),
		registered: b.session.registered, changed: func(c change) { b.replicas.changed(c); b.groups.Follow(c.after, c.losesTopics()) }, shown: b.session.advanced,
	}
}

// serve begins to accept on every listener.
func (b *Broker) serve() {
	for _, l := range b.cfg.Listeners {
		server := wire.NewServer(wire.ServerConfig{
			Listener: l.Listener, Name: l.Name, Handler: b, Versions: acceptedVersions, Prompt: prompt,
			MaxRequestBytes: b.cfg.Config.SocketRequestMaxBytes,
			Logger:          b.cfg.Logger, OnClose: b.connClosed,
		})
		b.servers = append(b.servers, server)
		b.wg.Go(func() {
			if err := server.Serve(); err != nil && b.ctx.Err() == nil {
				b.cfg.Logger.Warn("listener ended", "listener", l.Name, "error", err)
			}
		})
	}
}

// goRun runs one of the broker's loops. A loop that ends before the broker does
// takes the broker down.
func (b *Broker) goRun(what string, run func(context.Context) error) {
	b.wg.Go(func() {
		if err := run(b.ctx); err != nil {
			b.fail(fmt.Errorf("%s: %w", what, err))
		}
	})
}

// Shutdown hands the broker's leaderships over and then stops it. If ctx ends
// first the broker stops all the same, cleanly, and the error says so.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.session.wantShutdown.Store(true)
	b.session.soon()
	var handover error
	select {
	case <-b.session.mayStop:
	case <-b.ctx.Done():
	case <-ctx.Done():
		handover = fmt.Errorf("stopping %s before its leaderships were handed over: %w", b.node, context.Cause(ctx))
	}
	return errors.Join(handover, b.Stop())
}

// Stop ends the broker at once and cleanly: every log is synced, and the disk
// says so. It is for closing a whole cluster; ISRs stay as they are.
func (b *Broker) Stop() (err error) {
	b.ended.Do(func() {
		b.end()
		if !b.broken.Load() {
			err = b.leaveDisk(b.session.previous)
		}
		b.replicas.closeLogs()
	})
	return err
}

// Close ends the broker as a crash of its process does: nothing is written. It
// returns when every goroutine has ended.
func (b *Broker) Close() error {
	b.ended.Do(func() {
		b.end()
		b.replicas.closeLogs()
	})
	return nil
}

// end joins everything; the files stay open.
func (b *Broker) end() {
	b.cancel()
	b.replicas.closeReplicas()
	for _, s := range b.servers {
		s.Close()
	}
	for _, c := range b.channels {
		c.Close()
	}
	b.wg.Wait()
	b.replicas.closeReplicas() // those that were made meanwhile
}

// fail tells the owner, once, that the broker cannot go on.
func (b *Broker) fail(err error) {
	if b.ctx.Err() != nil || errors.Is(err, gate.ErrShut) {
		return // it is being closed, and this is how the loops notice
	}
	if b.broken.Swap(true) {
		return // nobody waits for who was first: that one writes to a disk
	}
	b.cfg.Logger.Error("the broker cannot go on", "error", err)
	b.distrust(err)
	if b.cfg.Failed != nil {
		b.cfg.Failed(fmt.Errorf("%s: %w", b.node, err))
	}
}

// recheckSoon has the replicas ticked now. It never blocks.
func (b *Broker) recheckSoon() {
	select {
	case b.recheck <- struct{}{}:
	default:
	}
}

// ID is the broker's id.
func (b *Broker) ID() int32 { return b.cfg.ID }

// Epoch is the broker epoch of the newest registration, -1 before the first.
func (b *Broker) Epoch() int64 { return b.epoch.Load() }

// Image is the newest state of the cluster that this broker has applied.
func (b *Broker) Image() *metadata.Image { return b.images.published.Load() }

// Replicas tells of every replica that this broker hosts.
func (b *Broker) Replicas() []replication.Status { return b.replicas.status() }

// CommittedOffsets is for those who look at a broker from outside its protocol: what groups have
// committed, for each partition of __consumer_offsets whose groups it serves now. It waits for
// nothing, also not for a paused broker.
func (b *Broker) CommittedOffsets() []groups.OffsetsStatus { return b.groups.Committed() }

// image is Image, for the handlers.
func (b *Broker) image() *metadata.Image { return b.images.published.Load() }

// replica returns the replica of tp that this broker hosts, or nil.
func (b *Broker) replica(tp metadata.TopicPartition) *replication.Replica {
	if h := b.replicas.get(tp); h != nil {
		return h.replica
	}
	return nil
}

// until waits until the image that this broker has applied satisfies cond, ctx
// ends or the broker does.
func (b *Broker) until(ctx context.Context, cond func(*metadata.Image) bool) error {
	return b.images.until(ctx, b.ctx.Done(), cond)
}

// forward sends req, whose version is set, to the active coordinator in an
// Envelope and returns its answer. It tries until ctx ends; what it then returns
// is metadata.ErrBrokerNotAvailable, and req may have been carried out.
func (b *Broker) forward(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	return forward(ctx, b.requests.Do, req)
}

// producerID returns a producer id that nobody was given before.
func (b *Broker) producerID(ctx context.Context) (int64, error) { return b.ids.next(ctx) }

var _ wire.Handler = (*Broker)(nil)
