package replication

import (
	"context"
	"fmt"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/slab"
)

// A catchUp watches, once in each leadership that is followed, for the moment
// when a replica that was behind has everything that is committed.
type catchUp struct{ behind, done bool }

func (c *catchUp) answered(from, end, leaderHW int64) (caughtUp bool) {
	c.behind = c.behind || from < leaderHW
	if c.done || end < leaderHW {
		return false
	}
	c.done = true
	return c.behind
}

// position is where this replica goes on when it follows the given leader; not ok
// if it does not, or not yet. It tells the leader how far this log goes, so what
// was written before and owes a sync is synced first: as leader, or before a crash.
func (r *Replica) position(leader int32) (FetchPartition, bool) {
	r.mu.Lock()
	ok := r.role == Following && r.state.Leader == leader
	follower := r.follower
	r.mu.Unlock()
	if !ok {
		return FetchPartition{}, false
	}
	if err := r.cfg.Log.Settle(); err != nil {
		r.failed(err)
		return FetchPartition{}, false
	}
	pos := follower.Position(r.cfg.Log)
	pos.ID, pos.Topic = r.cfg.ID, r.cfg.Topic
	pos.LogStartOffset = min(pos.LogStartOffset, r.KeptStart())
	return pos, true
}

// copied does with the log what the leader's answer to req asks for. An error
// means that the partition should be left alone for a while.
func (r *Replica) copied(ctx context.Context, req FetchPartition, ans FetchedPartition) error {
	if err := r.take(ctx); err != nil {
		return err
	}
	defer r.release()
	r.settle()
	r.mu.Lock()
	following, follower := r.role == Following, r.follower
	r.mu.Unlock()
	if !following {
		return nil
	}
	switch step := follower.Answer(req, ans, r.cfg.Log); step.Kind {
	case AppendRecords:
		return r.appendCopy(req, ans)
	case TruncateTo, ResetTo:
		return r.cut(step, req.CurrentLeaderEpoch)
	case TryLater:
		return fmt.Errorf("%s: %w", r, step.Err)
	default: // Ignore
		return nil
	}
}

// appendCopy writes the leader's bytes and takes over its high watermark and log start.
func (r *Replica) appendCopy(req FetchPartition, ans FetchedPartition) error {
	log := r.cfg.Log
	if end := log.LogEndOffset(); ans.LogStartOffset >= end {
		// Nothing here is the leader's any more. What it sends may begin further down,
		// and the log makes room for that only if nothing here counts.
		if err := r.startAt(end, req.CurrentLeaderEpoch, startsLater); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	for _, records := range ans.Records {
		if _, err := log.AppendSpanAsFollower(records, req.CurrentLeaderEpoch); err != nil {
			if diskBroke(err) {
				r.failed(err)
			}
			return fmt.Errorf("%s: %w", r, err)
		}
	}
	end := log.LogEndOffset()
	r.mu.Lock()
	advanced := r.follower.Advance(ans.HighWatermark, end)
	caughtUp := r.catchUp.answered(req.FetchOffset, end, ans.HighWatermark)
	hw := r.follower.HighWatermark()
	r.mu.Unlock()

	if err := r.startAt(min(ans.LogStartOffset, hw), req.CurrentLeaderEpoch, startsLater); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	if caughtUp {
		r.emit(event.CaughtUp, req.CurrentLeaderEpoch, map[string]any{"leo": end})
	}
	r.after(Consequence{Advanced: advanced})
	if advanced || slab.Size(ans.Records) > 0 {
		r.notify(anyChange)
	}
	return nil
}

// startsLater is why a follower's log start moves.
const startsLater = "the leader's starts there or later"

// cut drops the end of the log, or all of it.
func (r *Replica) cut(step Step, epoch int32) error {
	log := r.cfg.Log
	reset := step.Kind == ResetTo || step.To < log.LogStartOffset()
	from := log.LogEndOffset()
	var err error
	switch {
	case reset && step.To < log.LogStartOffset():
		err = r.lower(step.To)
	case reset:
		err = log.Reset(step.To)
	default:
		_, err = log.Truncate(step.To)
	}
	if err == nil && r.cfg.Cut != nil {
		err = r.cfg.Cut(step.To)
	}
	if err != nil {
		r.failed(err)
		return fmt.Errorf("%s: %w", r, err)
	}
	r.mu.Lock()
	if reset {
		r.follower.Reset(step.To)
		if r.cfg.Starts == nil {
			r.kept.Store(step.To)
		}
	} else {
		r.follower.Truncated(step.To)
	}
	r.catchUp.behind, r.damage = true, nil // what was damaged may be cut off
	r.mu.Unlock()
	switch {
	case reset:
		r.emit(event.LogReset, epoch, map[string]any{"to": step.To, "why": step.Why})
	case step.To < from:
		r.emit(event.LogTruncated, epoch, map[string]any{"from": from, "to": step.To, "why": step.Why})
	}
	r.notify(anyChange)
	return nil
}

// lower drops the log, which then starts earlier than before.
func (r *Replica) lower(to int64) error {
	change := func() error { return r.cfg.Log.Reset(to) }
	if r.cfg.Starts == nil {
		return change()
	}
	return r.cfg.Starts.Lower(r, to, change)
}
