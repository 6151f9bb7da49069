package coordinator

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// campaign makes a cluster that is just being started elect this node at once
// instead of after an election timeout, by what a leader sends to its successor. That
// would depose a leader; so first a majority must say that it would vote for this
// node, which nobody does who knows a leader. Without one, the timeout decides.
func (n *Node) campaign() {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.RaftTimeout)
	defer cancel()
	granted := make(chan bool, len(n.cfg.Peers))
	ask := n.preVote()
	for _, p := range n.cfg.Peers {
		if p.ID == n.cfg.ID {
			granted <- true
			continue
		}
		n.spawn(func() { granted <- n.wouldVote(ctx, p, ask) })
	}
	votes := 0
	for range n.cfg.Peers {
		select {
		case yes := <-granted:
			if yes {
				votes++
			}
		case <-ctx.Done():
			return
		}
		if votes > len(n.cfg.Peers)/2 {
			if leader, _ := n.quorum.leader(); leader == noNode {
				n.stand()
			}
			return
		}
	}
}

// wouldVote asks a peer, until it answers or ctx ends: it may not have been started yet.
func (n *Node) wouldVote(ctx context.Context, p Peer, ask *raft.RequestPreVoteRequest) bool {
	for {
		var answer raft.RequestPreVoteResponse
		err := n.transport.RequestPreVote(serverID(p.ID), raft.ServerAddress(p.Raft), ask, &answer)
		if err == nil {
			return answer.Granted
		}
		if wait(ctx, time.Millisecond) != nil {
			return false
		}
	}
}

func (n *Node) preVote() *raft.RequestPreVoteRequest {
	var last raft.Log
	if index, _ := n.store.LastIndex(); index > 0 {
		_ = n.store.GetLog(index, &last) // without it this node seems to have nothing: it asks in vain
	} else if snaps, _ := n.store.Snapshots().List(); len(snaps) > 0 {
		last.Index, last.Term = snaps[0].Index, snaps[0].Term
	}
	return &raft.RequestPreVoteRequest{
		RPCHeader: n.header(), Term: n.raft.Load().CurrentTerm() + 1,
		LastLogIndex: last.Index, LastLogTerm: last.Term,
	}
}

// stand tells this node's own Raft to stand for election now.
func (n *Node) stand() {
	self := n.peer(n.cfg.ID)
	req := &raft.TimeoutNowRequest{RPCHeader: n.header()}
	if err := n.transport.TimeoutNow(serverID(self.ID), raft.ServerAddress(self.Raft), req, &raft.TimeoutNowResponse{}); err != nil {
		n.logger.Warn("could not campaign", "error", err)
	}
}

func (n *Node) header() raft.RPCHeader {
	return raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax,
		ID:              []byte(serverID(n.cfg.ID)), Addr: []byte(n.peer(n.cfg.ID).Raft),
	}
}
