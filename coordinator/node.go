package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A Peer is one coordinator node: where its two listeners are reached.
type Peer struct {
	ID   int32
	Raft string // address for the other coordinator nodes
	RPC  string // address for brokers
}

// Config is what a node is started with.
type Config struct {
	ID        int32
	ClusterID string
	Peers     []Peer // every node of the quorum, this one included; the same on all
	Raft, RPC net.Listener
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	FS        vfs.FS
	// Database is the path of a file of the real machine, in the directory that FS is,
	// for Raft's log, term and vote. "" keeps them on FS.
	Database string
	Gate     *gate.Gate // of this incarnation; nil is always open. Close shuts it
	Events   event.Sink // nil discards
	Broker   *metadata.BrokerConfig
	// Brokers is how many brokers the cluster is to have; 0 means those that have registered.
	Brokers int
	// RaftTimeout is Raft's heartbeat and election timeout; 0 means 500 ms.
	RaftTimeout time.Duration
	// SnapshotEvery is how many Raft entries lie between two snapshots; 0 means 8192.
	SnapshotEvery uint64
	// Elect makes this node campaign at once, unless it hears of an active
	// coordinator first. Set it on one node when all of them are started.
	Elect  bool
	Logger *slog.Logger // nil discards
	Seed   uint64       // of topic ids and placement
	// Recovered is told, before the node takes part, which is the newest entry in its log:
	// what happened up to there is old news if no node has run since. nil: nobody asks.
	Recovered func(index uint64)
	// Failed is called at most once, on a goroutine of the node's own, when its disk
	// broke: it has crashed then. It must leave Close to another goroutine.
	Failed func(error)
}

// A Node is one running coordinator node. Its goroutines beside Raft's and the RPC
// server's: one drains Raft's notices, one runs the active coordinator while this
// node is it, one for each request that waits. Close joins them all.
type Node struct {
	cfg    Config
	name   string // in events
	logger *slog.Logger
	events event.Sink
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	store     durable
	stream    *stream
	transport *transport
	raft      atomic.Pointer[raft.Raft] // nil only while Start runs
	fsm       *fsm
	history   *history
	server    *wire.Server
	active    atomic.Pointer[active] // nil unless this node is the active coordinator
	quorum    *quorum
	slots     chan struct{} // one for each command that is under way

	submissions submissions

	closing sync.Once
	closed  chan struct{}

	mu      sync.Mutex
	started bool // Start has succeeded
	ended   bool // no goroutine may begin any more
	failure error
	wg      sync.WaitGroup
}

// maxCommands bounds the commands under way. It is less than what Raft keeps behind
// a snapshot, so that what a deposed node never got committed can be replaced
// entry by entry.
const maxCommands = 64

// Start begins a node: it serves at once. The node owns the two listeners from
// here on, also when Start fails.
func Start(cfg Config) (*Node, error) {
	n := newNode(cfg)
	if err := n.start(); err != nil {
		n.Close()
		return nil, fmt.Errorf("coordinator node %d: %w", cfg.ID, err)
	}
	return n, nil
}

func newNode(cfg Config) *Node {
	if cfg.Events == nil {
		cfg.Events = event.Discard
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RaftTimeout == 0 {
		cfg.RaftTimeout = 500 * time.Millisecond
	}
	if cfg.SnapshotEvery == 0 {
		cfg.SnapshotEvery = 8192
	}
	n := &Node{
		cfg: cfg, name: event.CoordinatorNode(cfg.ID),
		logger: cfg.Logger.With("node", event.CoordinatorNode(cfg.ID)), events: cfg.Events,
		slots: make(chan struct{}, maxCommands), closed: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.quorum = newQuorum(n.ctx)
	st := state.New(cfg.ClusterID, cfg.Broker)
	n.history = newHistory(st.Image())
	n.fsm = &fsm{state: st, config: cfg.Broker, history: n.history, events: cfg.Events, logger: n.logger,
		applied: func(node int32, number, term uint64, r state.Result) {
			if node == cfg.ID {
				n.submissions.applied(number, term, r)
			}
		}}
	n.stream = newStream(cfg.Raft, n.peer(cfg.ID).Raft, cfg.Dial)
	n.server = wire.NewServer(wire.ServerConfig{
		Listener: cfg.RPC, Name: metadata.InternalListener, Handler: n, Versions: acceptedVersions,
		MaxRequestBytes: cfg.Broker.SocketRequestMaxBytes, Logger: n.logger, OnClose: n.connClosed,
	})
	return n
}

func (n *Node) start() error {
	if n.peer(n.cfg.ID).Raft == "" {
		return fmt.Errorf("it is not among the peers %v", n.cfg.Peers)
	}
	var err error
	if n.store, err = n.openStore(); err != nil {
		return err
	}
	last, err := n.store.LastIndex()
	if err != nil {
		return err
	}
	if n.cfg.Recovered != nil {
		n.cfg.Recovered(last)
	}
	if err := n.startRaft(); err != nil {
		return err
	}
	n.spawn(n.lead)
	n.spawn(func() {
		if err := n.server.Serve(); err != nil && n.ctx.Err() == nil {
			n.logger.Error("the RPC server ended", "error", err)
		}
	})
	if n.cfg.Elect {
		n.spawn(n.campaign)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = true
	return n.failure
}

func (n *Node) openStore() (durable, error) {
	if n.cfg.Database != "" {
		return openDatabase(n)
	}
	s, err := openStore(n.cfg.FS, n.fail)
	if err != nil {
		return nil, err // an interface that holds no *store
	}
	return s, nil
}

// fail crashes the node because its disk broke. It is called from inside Raft, so it waits for nothing.
func (n *Node) fail(err error) {
	if n.cfg.Gate.IsShut() || n.ctx.Err() != nil {
		return // it is being killed: that is no failure of the disk
	}
	n.mu.Lock()
	again := n.failure != nil
	if !again {
		n.failure = err
	}
	started := n.started
	n.mu.Unlock()
	if again || !started {
		return // Start says so
	}
	n.logger.Error("giving up", "error", err)
	go func() {
		n.Close()
		if n.cfg.Failed != nil {
			n.cfg.Failed(err)
		}
	}()
}

// Close ends the node as a crash of its process would and joins everything that it
// started. It returns what the node had failed of before, if it had.
func (n *Node) Close() error {
	n.closing.Do(func() {
		if n.cfg.Gate != nil {
			n.cfg.Gate.Shut()
		}
		n.cancel()
		n.mu.Lock()
		n.ended = true
		n.mu.Unlock()
		n.stream.Close()
		if r := n.raft.Load(); r != nil {
			_ = r.Shutdown().Error() // closes the transport too
		}
		if n.transport != nil {
			n.transport.CloseStreams()
			n.transport.Close()
		}
		n.stream.wait()
		n.server.Close()
		n.wg.Wait()
		if n.store != nil {
			n.store.Close()
		}
		close(n.closed)
	})
	<-n.closed
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failure
}

// spawn runs f on a goroutine that Close joins. It reports whether it does: not while the node ends.
func (n *Node) spawn(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return false
	}
	n.wg.Go(f)
	return true
}

// Active reports whether this node is the active coordinator, ready to decide,
// and in which term.
func (n *Node) Active() (term uint64, ok bool) {
	if a := n.active.Load(); a != nil {
		return a.term, true
	}
	return 0, false
}

// Image is what this node has applied. It may be older than what the active one knows.
func (n *Node) Image() *metadata.Image { im, _ := n.history.latest(); return im }

// WaitActive returns once this node knows the active coordinator, itself or
// another one, and names it. It ends early with ctx or the node.
func (n *Node) WaitActive(ctx context.Context) (id int32, err error) {
	for {
		id, news := n.quorum.leader()
		if id != noNode && (id != n.cfg.ID || n.active.Load() != nil) {
			return id, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return noNode, ctx.Err()
		case <-n.ctx.Done():
			return noNode, errNodeClosed
		}
	}
}

var errNodeClosed = errors.New("the coordinator node is closed")

func (n *Node) peer(id int32) Peer {
	for _, p := range n.cfg.Peers {
		if p.ID == id {
			return p
		}
	}
	return Peer{}
}

// connClosed is told by the RPC server of every connection that ended.
func (n *Node) connClosed(c *wire.Conn) {
	if a := n.active.Load(); a != nil {
		a.disconnected(c)
	}
}

func serverID(id int32) raft.ServerID { return raft.ServerID(strconv.Itoa(int(id))) }

func nodeID(id raft.ServerID) int32 {
	v, err := strconv.ParseInt(string(id), 10, 32)
	if err != nil {
		return noNode
	}
	return int32(v)
}
