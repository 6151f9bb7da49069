package coordinator

import (
	"cmp"
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/brokersim/brokersim/event"
)

// startRaft begins Raft on the node's store, stream and fsm.
func (n *Node) startRaft() error {
	log := newRaftLogger(n.logger)
	timeout := n.cfg.RaftTimeout
	n.transport = &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: n.stream, MaxPool: 3, Timeout: 2 * timeout, Logger: log,
			// No pipelining. A pipeline whose reader has given up, because the follower
			// refused an entry or knows a newer term, blocks its writer for ever: that
			// follower gets nothing more, and Shutdown waits for the writer.
			MaxRPCsInFlight: 1,
		}),
		ctx: n.ctx, limit: timeout / 2,
		leads: func(term uint64) bool {
			r := n.raft.Load()
			return r != nil && r.State() == raft.Leader && r.CurrentTerm() == term
		},
	}
	notices := make(chan bool)
	// On a goroutine of its own: a disk that breaks just now ends the goroutine.
	begun := make(chan error, 1)
	go func() {
		err := errStoreClosed
		defer func() { begun <- err }()
		err = n.newRaft(n.raftConfig(log, notices))
	}()
	if err := <-begun; err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		return cmp.Or(n.failure, err)
	}
	n.spawn(func() { n.drain(notices) })
	return nil
}

func (n *Node) raftConfig(log hclog.Logger, notices chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = serverID(n.cfg.ID)
	c.HeartbeatTimeout = n.cfg.RaftTimeout
	c.ElectionTimeout = n.cfg.RaftTimeout
	c.LeaderLeaseTimeout = n.cfg.RaftTimeout
	c.CommitTimeout = n.cfg.RaftTimeout
	c.SnapshotThreshold = n.cfg.SnapshotEvery
	c.SnapshotInterval = 2 * n.cfg.RaftTimeout
	c.TrailingLogs = max(n.cfg.SnapshotEvery, 2*maxCommands)
	c.NotifyCh = notices
	c.Logger = log
	c.NoLegacyTelemetry = true
	c.RestoreCommittedLogs = false // with it, more than 128 batches to replay block the start for ever
	c.ShutdownOnRemove = false
	return c
}

func (n *Node) newRaft(c *raft.Config) error {
	snaps := n.store.Snapshots()
	if err := n.bootstrap(c, snaps); err != nil {
		return err
	}
	r, err := raft.NewRaft(c, n.fsm, n.store, n.store, snaps, n.transport)
	if err != nil {
		return err
	}
	// The filter sees everything as it happens; nothing is ever sent to a channel.
	r.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		if l, ok := o.Data.(raft.LeaderObservation); ok {
			n.quorum.follow(nodeID(l.LeaderID))
			n.history.wake() // brokers that wait here learn who leads
		}
		return false
	}))
	_, id := r.LeaderWithID()
	n.quorum.follow(nodeID(id))
	n.raft.Store(r)
	return nil
}

// bootstrap writes the first entry, the same on every node: who votes. A first start that
// was cut off may have left a term and no entry; a node that was left like that would
// know nobody, and could never be elected nor let others know it.
func (n *Node) bootstrap(c *raft.Config, snaps raft.SnapshotStore) error {
	old, err := raft.HasExistingState(n.store, n.store, snaps)
	if err != nil {
		return err
	}
	if !old {
		return raft.BootstrapCluster(c, n.store, n.store, snaps, n.transport, n.voters())
	}
	last, err := n.store.LastIndex()
	if err != nil || last > 0 {
		return err
	}
	if list, err := snaps.List(); err != nil || len(list) > 0 {
		return err
	}
	return n.store.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(n.voters())})
}

func (n *Node) voters() raft.Configuration {
	var c raft.Configuration
	for _, p := range n.cfg.Peers {
		c.Servers = append(c.Servers, raft.Server{ID: serverID(p.ID), Address: raft.ServerAddress(p.Raft)})
	}
	return c
}

// drain takes Raft's notices, on which Raft would block. It never calls Raft. It
// ends with the node, when Raft no longer insists.
func (n *Node) drain(notices <-chan bool) {
	for {
		select {
		case leading := <-notices:
			n.quorum.lead(leading)
		case <-n.ctx.Done():
			return
		}
	}
}

// lead runs the active coordinator while this node leads.
func (n *Node) lead() {
	var a *active
	for {
		select {
		case <-n.quorum.turned:
		case <-n.ctx.Done():
		}
		if a != nil {
			n.active.Store(nil)
			a.stop()
			a = nil
			n.history.wake()
		}
		if n.ctx.Err() != nil {
			return
		}
		if turn, leading := n.quorum.mine(); leading {
			a = n.takeOver(turn)
		}
	}
}

// takeOver makes this node the active coordinator once its fsm holds all that was
// committed before. nil if it lost the leadership again: turn has ended then.
func (n *Node) takeOver(turn context.Context) *active {
	if _, err := n.submit(turn, nil); err != nil {
		return nil
	}
	term := n.raft.Load().CurrentTerm()
	if n.cfg.Gate.Pass() != nil || turn.Err() != nil {
		return nil
	}
	a := newActive(n, turn, term, time.Now())
	n.active.Store(a)
	a.spawn(a.watch)
	a.spawn(a.groups.run)
	e := event.Event{Kind: event.CoordinatorActive, Node: n.name, Part: -1, Data: map[string]any{"term": term}}
	if before := n.quorum.previous(); before != noNode && before != n.cfg.ID {
		e.Because = []event.Key{event.ProcessKey(event.CoordinatorNode(before))}
	}
	n.events.Emit(e)
	n.quorum.tell()
	n.history.wake()
	return a
}
