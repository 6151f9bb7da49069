package coordinator

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
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
	Gate      *gate.Gate // of this incarnation; nil is always open
	Events    event.Sink // nil discards
	Broker    *metadata.BrokerConfig
	// RaftTimeout is Raft's heartbeat and election timeout; 0 means 500 ms.
	RaftTimeout time.Duration
	// SnapshotEvery is how many Raft entries lie between two snapshots; 0 means 8192.
	SnapshotEvery uint64
	// Elect makes this node campaign at once. Set it on one node when a new cluster
	// starts; it does no harm later.
	Elect  bool
	Logger *slog.Logger // nil discards
	Seed   uint64       // of topic ids and placement
	// Failed is called at most once, on a goroutine of the node's, when the node
	// gave up because its disk failed. It must not call Close itself.
	Failed func(error)
}

// A Node is one running coordinator node.
type Node struct{}

// Start begins a node: it serves at once. The node owns the two listeners from
// here on, also when Start fails.
func Start(cfg Config) (*Node, error) { panic("not built yet") }

// Close ends the node as a crash of its process would and joins everything that it started.
func (n *Node) Close() error { panic("not built yet") }

// Active reports whether this node is the active coordinator, ready to decide,
// and in which term.
func (n *Node) Active() (term uint64, ok bool) { panic("not built yet") }

// Image is what this node has applied. It may be older than what the active one knows.
func (n *Node) Image() *metadata.Image { panic("not built yet") }

// WaitActive returns once this node knows the active coordinator, itself or
// another one, and names it.
func (n *Node) WaitActive(ctx context.Context) (id int32, err error) { panic("not built yet") }
