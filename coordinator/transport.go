package coordinator

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// transport is Raft's network transport but for one thing: it is patient with a
// peer that cannot be reached. Raft doubles its pause with every failed
// AppendEntries, up to ten seconds; a peer that came back, and whose vote may be the
// one that a commit needs, would be left waiting as long as it was away. So the
// retries are made here, at most limit apart, for as long as this node leads in the
// request's term. Heartbeats are retried by Raft itself, often enough.
type transport struct {
	*raft.NetworkTransport
	ctx   context.Context
	limit time.Duration
	leads func(term uint64) bool
}

// AppendEntries sends entries to a peer, again and again if need be.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	heartbeat := args.PrevLogEntry == 0 && len(args.Entries) == 0 && args.LeaderCommitIndex == 0
	for pause := t.limit / 32; ; pause = min(2*pause, t.limit) {
		err := t.NetworkTransport.AppendEntries(id, target, args, resp)
		if err == nil || heartbeat || !t.leads(args.Term) {
			return err
		}
		if wait(t.ctx, pause) != nil {
			return err
		}
	}
}

// wait waits for d unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
