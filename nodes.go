package brokersim

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"github.com/brokersim/brokersim/coordinator"
	"github.com/brokersim/brokersim/event"
)

// A Quorum is the coordinator: the nodes that decide, by Raft, who leads what.
// Kafka calls it the controller quorum.
type Quorum struct{ c *Cluster }

// Active returns the active coordinator node, or nil while there is none.
func (q *Quorum) Active() *Node {
	n, _ := q.c.active()
	return n
}

// Nodes returns every node, by id.
func (q *Quorum) Nodes() []*Node { return slices.Clone(q.c.nodes) }

// Node returns the node with that id, or nil.
func (q *Quorum) Node(id int32) *Node {
	if id < 1 || int(id) > len(q.c.nodes) {
		return nil
	}
	return q.c.nodes[id-1]
}

// A Node is one coordinator node: a process with a disk.
type Node struct {
	process[*coordinator.Node]
	c  *Cluster
	id int32
}

var nodeKinds = kinds{
	started: event.CoordinatorStarted, killed: event.CoordinatorKilled, poweredOff: event.CoordinatorPowerOff,
	paused: event.CoordinatorPaused, resumed: event.CoordinatorResumed, failed: event.CoordinatorFailed,
}

const (
	rpcPort  = 9090 // where brokers reach a coordinator node, and nodes a broker
	raftPort = 9091
)

func newNode(c *Cluster, id int32) *Node {
	n := &Node{process: newProcess[*coordinator.Node](c, event.CoordinatorNode(id), nodeKinds), c: c, id: id}
	n.listen, n.launch = n.openDoors, n.begin
	return n
}

// peers are the addresses of the quorum.
func (c *Cluster) peers() []coordinator.Peer {
	peers := make([]coordinator.Peer, c.cfg.coordinators)
	for i := range peers {
		name := event.CoordinatorNode(int32(i + 1))
		peers[i] = coordinator.Peer{
			ID: int32(i + 1), Raft: fmt.Sprintf("%s:%d", name, raftPort), RPC: fmt.Sprintf("%s:%d", name, rpcPort),
		}
	}
	return peers
}

func (n *Node) openDoors() ([]net.Listener, error) {
	self := n.c.peers()[n.id-1]
	raft, err := n.host.Listen(self.Raft, false)
	if err != nil {
		return nil, err
	}
	rpc, err := n.host.Listen(self.RPC, true)
	if err != nil {
		raft.Close()
		return nil, err
	}
	return []net.Listener{raft, rpc}, nil
}

func (n *Node) begin(in incarnation, doors []net.Listener) (*coordinator.Node, error) {
	database := ""
	if n.c.data != nil {
		database = filepath.Join(n.c.data.path(n.name), databaseFile)
	}
	return coordinator.Start(coordinator.Config{
		ID: n.id, ClusterID: n.c.id, Peers: n.c.peers(), Raft: doors[0], RPC: doors[1],
		Dial: in.dial, FS: in.fs, Database: database, Gate: in.gate, Events: in.events,
		Broker: n.c.configs, Brokers: len(n.c.brokers), RaftTimeout: n.c.cfg.raftTimeout(), SnapshotEvery: uint64(n.c.cfg.snapshotEvery),
		Elect: n.id == 1, Logger: in.logger, Seed: n.c.seed(n.name), Recovered: n.c.oldNews, Failed: in.failed,
	})
}

// oldNews makes the events start behind a metadata entry that was there before the
// cluster started.
func (c *Cluster) oldNews(index uint64) {
	if !c.begun.Load() {
		c.events.EmitAt(int64(index))
	}
}

// ID is the node's id; coordinator nodes count from 1, as brokers do.
func (n *Node) ID() int32 { return n.id }

// Name is the node's name in events and on the network, as in "coordinator-1".
func (n *Node) Name() string { return n.name }

// Process says what has become of the node's process.
func (n *Node) Process() Process { return n.now() }

// Start starts the node again, with the same disk.
func (n *Node) Start() error { return n.start() }

// Kill ends the node's process at once; what it wrote stays.
func (n *Node) Kill() error { return n.kill() }

// PowerOff ends the node silently; what was not synced is lost.
func (n *Node) PowerOff() error { return n.powerOff() }

// Pause holds everything that the node does, until Resume. The node must run;
// otherwise nothing happens.
func (n *Node) Pause() { n.pause() }

// Resume lets a paused node go on.
func (n *Node) Resume() { n.resume() }

// Isolate cuts the node off from every other node.
func (n *Node) Isolate() *Fault { return n.c.isolate(n.name) }

// Disk is the node's disk, to make it ill.
func (n *Node) Disk() *Disk { return &Disk{n.c, n.name, &n.ill} }

func (n *Node) close() error {
	return n.process.close(func(*coordinator.Node) error { return nil }) // it ends as in a crash
}

// active returns the active coordinator node and its term. A node that a cut has
// left behind may think for a while that it still is; the newest term wins.
func (c *Cluster) active() (node *Node, term uint64) {
	for _, n := range c.nodes {
		if run, ok := n.running(); ok {
			if t, active := run.Active(); active && (node == nil || t > term) {
				node, term = n, t
			}
		}
	}
	return node, term
}
