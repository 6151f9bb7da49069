package coordinator

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// A rig is a quorum of coordinator nodes on a simulated network and disks that
// outlive them, inside a bubble, and the brokers that a test plays.
type rig struct {
	t       *testing.T
	net     *network.Network
	events  *event.Log
	config  *metadata.BrokerConfig
	every   uint64 // SnapshotEvery
	size    int32
	disks   map[int32]*vfs.Mem
	faults  map[int32]*vfs.Faults
	gates   map[int32]*gate.Gate
	nodes   map[int32]*Node
	brokers []*played
	failed  chan error
}

func newRig(t *testing.T, nodes int32, kv ...string) *rig {
	settings := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		settings[kv[i]] = kv[i+1]
	}
	config, err := metadata.NewBrokerConfig(settings)
	require.NoError(t, err)
	r := &rig{
		t: t, net: network.New(1), events: event.NewLog(10_000), config: config, size: nodes,
		disks: map[int32]*vfs.Mem{}, faults: map[int32]*vfs.Faults{}, gates: map[int32]*gate.Gate{}, nodes: map[int32]*Node{},
		failed: make(chan error, nodes),
	}
	for id := int32(1); id <= nodes; id++ {
		r.disks[id] = vfs.NewMem(uint64(id))
	}
	return r
}

// close ends everything; the bubble then finds what was left behind.
func (r *rig) close() {
	for _, b := range r.brokers {
		b.stop()
	}
	r.requireOneHistory()
	for id := range r.nodes {
		r.kill(id)
	}
	require.NoError(r.t, r.net.Close())
}

func (r *rig) host(id int32) *network.Host { return r.net.Host(event.CoordinatorNode(id)) }

// start starts nodes, the last one so that it campaigns; it should do no harm if others lead.
func (r *rig) start(ids ...int32) {
	configs := make([]Config, len(ids))
	for i, id := range ids {
		configs[i] = r.nodeConfig(id)
	}
	for i, id := range ids {
		configs[i].Elect = i == len(ids)-1
		n, err := Start(configs[i])
		require.NoError(r.t, err)
		r.nodes[id] = n
	}
}

func (r *rig) nodeConfig(id int32) Config {
	h := r.host(id)
	g := gate.New()
	h.Revive()
	h.Attach(g)
	raftDoor, err := h.Listen(fmt.Sprintf("coordinator-%d:9091", id), false)
	require.NoError(r.t, err)
	rpcDoor, err := h.Listen(fmt.Sprintf("coordinator-%d:9090", id), true)
	require.NoError(r.t, err)
	r.gates[id], r.faults[id] = g, &vfs.Faults{}
	return Config{
		ID: id, ClusterID: "cluster", Peers: r.peers(), Raft: raftDoor, RPC: rpcDoor, Dial: h.DialContext,
		FS:   vfs.Gated(vfs.WithFaults(r.disks[id], r.faults[id]), g),
		Gate: g, Events: r.events, Broker: r.config, SnapshotEvery: r.every, Seed: 1,
		Failed: func(err error) { r.failed <- err },
	}
}

func (r *rig) peers() []Peer {
	var peers []Peer
	for id := int32(1); id <= r.size; id++ {
		peers = append(peers, Peer{id, fmt.Sprintf("coordinator-%d:9091", id), fmt.Sprintf("coordinator-%d:9090", id)})
	}
	return peers
}

// kill crashes a node's process.
func (r *rig) kill(id int32) {
	r.gates[id].Shut()
	r.host(id).Kill()
	r.nodes[id].Close()
	delete(r.nodes, id)
}

// powerOff silences a node and loses what it had not synced.
func (r *rig) powerOff(id int32) {
	r.gates[id].Shut()
	r.host(id).PowerOff()
	r.nodes[id].Close()
	delete(r.nodes, id)
	r.disks[id].PowerLoss()
}

func (r *rig) active() *Node {
	r.t.Helper()
	for range 100_000 {
		for _, n := range r.nodes {
			if _, ok := n.Active(); ok && !n.cfg.Gate.Paused() {
				return n
			}
		}
		time.Sleep(time.Millisecond)
	}
	require.Fail(r.t, "no active coordinator")
	return nil
}

// activeBut waits for an active coordinator that is not the node id.
func (r *rig) activeBut(id int32) *Node {
	r.t.Helper()
	var found *Node
	r.eventually(func() bool {
		for _, n := range r.nodes {
			if _, ok := n.Active(); ok && n.cfg.ID != id {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// eventually waits for cond, for up to a minute of the bubble's time.
func (r *rig) eventually(cond func() bool) {
	r.t.Helper()
	for range 60_000 {
		if cond() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	require.Fail(r.t, "it never came to that")
}

// happened returns the events of a kind so far.
func (r *rig) happened(kind event.Kind) []event.Event {
	var found []event.Event
	last := r.events.Last()
	if last == 0 {
		return nil
	}
	for e := range r.events.Since(context.Background(), 0) {
		if e.Kind == kind {
			found = append(found, e)
		}
		if e.Seq >= last {
			break
		}
	}
	return found
}
