package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// Appended is where a batch came to lie, and under which leadership.
type Appended struct {
	partition.AppendInfo
	Epoch int32 // leader epoch
}

// acksAll asks for an answer once the batch is committed.
const acksAll = -1

// Append writes one batch to the leader's log, patching it in place, and returns
// when it is written. If it owes a sync then (Appended.SyncOwed), nobody sees it
// until the caller has called AwaitSynced, which it must. With acks=-1 the ISR must
// have min.insync.replicas members before anything is written. Errors:
//   - ErrNotLeaderOrFollower: this broker does not lead, or ceased to while it
//     wrote; then the batch may be in the log, and may even survive.
//   - ErrNotEnoughReplicas: nothing was written.
//   - ErrRequestTimedOut: ctx ended while others wrote; nothing was written.
//   - what partition.Log.AppendAsLeader says of the batch.
func (r *Replica) Append(ctx context.Context, batch []byte, acks int16, now time.Time) (Appended, error) {
	return r.append(ctx, batch, acks, anyEpoch, now)
}

// AppendIn is Append for who knows what the log holds in one leadership and must not
// write in another: if this broker does not lead in that leader epoch any more, or
// not yet, it is ErrNotLeaderOrFollower.
func (r *Replica) AppendIn(ctx context.Context, epoch int32, batch []byte, acks int16, now time.Time) (Appended, error) {
	return r.append(ctx, batch, acks, epoch, now)
}

const anyEpoch = -1

func (r *Replica) append(ctx context.Context, batch []byte, acks int16, in int32, now time.Time) (Appended, error) {
	a, err := r.stage(ctx, batch, acks, in, now)
	if err != nil {
		return Appended{}, err
	}
	a.AppendInfo, err = r.cfg.Log.AwaitWritten(a.AppendInfo)
	r.Settle() // the next role may have waited for this
	if err != nil {
		r.failed(err)
		return Appended{}, fmt.Errorf("%s: %w", r, err)
	}
	if !a.SyncOwed() {
		if err := r.appended(a.Epoch, a.LastOffset+1, now); err != nil {
			return Appended{}, err
		}
	}
	return a, nil
}

// stage gives the batch its place in the log, in the leadership that there is. The
// log is free for the next one while this one is written: they share a write.
func (r *Replica) stage(ctx context.Context, batch []byte, acks int16, in int32, now time.Time) (Appended, error) {
	if err := r.take(ctx); err != nil {
		return Appended{}, fmt.Errorf("%s: waiting for the log: %w", r, metadata.ErrRequestTimedOut)
	}
	defer r.release()
	if r.isPending() {
		if err := r.cfg.Log.AwaitStaged(); err != nil {
			r.failed(err)
			return Appended{}, fmt.Errorf("%s: %w", r, err)
		}
		r.settle()
	}
	epoch, err := r.mayAppend(acks, in)
	if err != nil {
		return Appended{}, fmt.Errorf("%s: %w", r, err)
	}
	info, err := r.cfg.Log.Stage(batch, epoch, now)
	if err != nil {
		if diskBroke(err) {
			r.failed(err)
		}
		return Appended{}, fmt.Errorf("%s: %w", r, err)
	}
	return Appended{AppendInfo: info, Epoch: epoch}, nil
}

// AwaitSynced waits for the sync that an append owes, if it owes one: it does the
// sync, or somebody does who came first. Only then the batch is shown, counts for
// the high watermark and may be acked. Errors:
//   - ErrStorage: the sync failed.
//   - ErrNotLeaderOrFollower: the leadership under which it was written is over; it
//     may be in the log, and may even survive.
func (r *Replica) AwaitSynced(a Appended) error {
	if !a.SyncOwed() {
		return nil
	}
	if err := r.cfg.Log.AwaitSynced(a.AppendInfo); err != nil {
		r.failed(err)
		return fmt.Errorf("%s: %w", r, err)
	}
	return r.appended(a.Epoch, r.cfg.Log.LogEndOffset(), time.Now())
}

func (r *Replica) mayAppend(acks int16, in int32) (epoch int32, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.role != Leading, in != anyEpoch && in != r.leader.state.LeaderEpoch && guard.AppendInEpoch.Holds():
		return 0, metadata.ErrNotLeaderOrFollower
	case acks == acksAll && r.leader.UnderMinISR():
		return 0, metadata.ErrNotEnoughReplicas
	}
	return r.leader.state.LeaderEpoch, nil
}

// appended tells the leader of its own log's new end, unless the leadership
// ended meanwhile. Of those who waited for one sync, the first tells for all.
func (r *Replica) appended(epoch int32, logEnd int64, now time.Time) error {
	at := r.moment(now)
	r.mu.Lock()
	if r.role != Leading || r.leader.state.LeaderEpoch != epoch {
		r.mu.Unlock()
		return fmt.Errorf("%s: leader epoch %d ended during the append: %w", r, epoch, metadata.ErrNotLeaderOrFollower)
	}
	news := logEnd > r.leader.logEnd
	c := r.leader.Appended(logEnd, at)
	r.publishLocked()
	r.mu.Unlock()
	if news {
		r.after(c)
		what := LogEndMoved
		if c.Advanced {
			what |= HighWatermarkMoved
		}
		r.notify(what)
	}
	return nil
}

// AwaitCommitted waits until what Append wrote is synced, if that is owed, and
// committed: what acks=all promises. Errors:
//   - ErrNotLeaderOrFollower: the leadership under which it was written is over.
//   - ErrNotEnoughReplicasAfterAppend: the ISR fell below min.insync.replicas.
//   - ErrRequestTimedOut: ctx ended first. It ends no wait for a sync.
//   - ErrStorage: the sync failed.
//
// After each of them the batch may still be committed later.
func (r *Replica) AwaitCommitted(ctx context.Context, a Appended) error {
	if err := r.AwaitSynced(a); err != nil {
		return err
	}
	return r.uncommitted(a, r.marks.Wait(ctx, a.Epoch, a.LastOffset+1))
}

// Settled reports whether AwaitCommitted would return at once, and what: always after an append
// to the only replica that is in sync, unless a sync is owed.
func (r *Replica) Settled(a Appended) (settled bool, err error) {
	if a.SyncOwed() {
		return false, nil
	}
	settled, err = r.marks.ended(goal{a.Epoch, a.LastOffset + 1, guard.MinISRAfterAppend.Holds()})
	return settled, r.uncommitted(a, err)
}

// uncommitted says of what was appended why nobody knows whether it is committed.
func (r *Replica) uncommitted(a Appended, why error) error {
	if why == nil {
		return nil
	}
	return fmt.Errorf("%s at offset %d, leader epoch %d: %w", r, a.BaseOffset, a.Epoch, why)
}

// AwaitPassed waits until the high watermark of a leader epoch has reached an offset,
// however few replicas are in sync meanwhile. Errors:
//   - ErrNotLeaderOrFollower: that leadership is over.
//   - ErrRequestTimedOut: ctx ended first.
func (r *Replica) AwaitPassed(ctx context.Context, epoch int32, offset int64) error {
	if err := r.marks.WaitPassed(ctx, epoch, offset); err != nil {
		return fmt.Errorf("%s up to offset %d, leader epoch %d: %w", r, offset, epoch, err)
	}
	return nil
}

// diskBroke tells a failed disk from a batch that the log would not take.
func diskBroke(err error) bool { return errors.Is(err, metadata.ErrStorage) }
