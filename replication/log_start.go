package replication

import (
	"context"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// HighWatermarkOffset as an offset of DeleteRecords stands for the high watermark.
const HighWatermarkOffset int64 = -1

// Deleted is a DeleteRecords that the leader has carried out on its own log.
type Deleted struct {
	Before int64 // everything below is deleted
	Epoch  int32 // leader epoch
}

// DeleteRecords makes the leader's log start at offset, or at the high watermark
// (KIP-107). A log that starts there already, or later, stays as it is. The others
// hear of it with their next fetch; AwaitLowWatermark waits for them. Errors:
//   - ErrNotLeaderOrFollower: this broker does not lead.
//   - ErrPolicyViolation: the topic's cleanup.policy is not to delete.
//   - ErrOffsetOutOfRange: offset is negative or above the high watermark.
//   - ErrRequestTimedOut: ctx ended while others wrote; nothing was deleted.
//   - ErrStorage: the disk broke.
func (r *Replica) DeleteRecords(ctx context.Context, offset int64) (Deleted, error) {
	if err := r.take(ctx); err != nil {
		return Deleted{}, fmt.Errorf("%s: waiting for the log: %w", r, metadata.ErrRequestTimedOut)
	}
	defer r.release()
	r.settle()
	d, err := r.mayDelete(offset)
	if err != nil {
		return Deleted{}, fmt.Errorf("%s: deleting the records below %d: %w", r, offset, err)
	}
	if err := r.startAt(d.Before, d.Epoch, "its records were deleted"); err != nil {
		return Deleted{}, fmt.Errorf("%s: %w", r, err)
	}
	return d, nil
}

func (r *Replica) mayDelete(offset int64) (Deleted, error) {
	policy := r.cfg.Config().CleanupPolicy
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.role != Leading {
		return Deleted{}, metadata.ErrNotLeaderOrFollower
	}
	if !policy.Delete() {
		return Deleted{}, fmt.Errorf("%w: cleanup.policy is %s", metadata.ErrPolicyViolation, policy)
	}
	hw := r.leader.HighWatermark()
	if offset == HighWatermarkOffset {
		offset = hw
	}
	if offset < 0 || offset > hw {
		return Deleted{}, fmt.Errorf("%w: the high watermark is %d", metadata.ErrOffsetOutOfRange, hw)
	}
	return Deleted{Before: offset, Epoch: r.leader.state.LeaderEpoch}, nil
}

// startAt makes the log start at offset if it starts before. The caller holds the slot.
func (r *Replica) startAt(offset int64, epoch int32, why string) error {
	from := r.cfg.Log.LogStartOffset()
	if offset <= from {
		return nil
	}
	if err := r.cfg.Log.SetLogStart(offset); err != nil {
		r.failed(err)
		return err
	}
	r.started(from, epoch, why)
	return nil
}

// started tells everybody that the log, which started at from, starts later now.
func (r *Replica) started(from int64, epoch int32, why string) {
	start := r.cfg.Log.LogStartOffset()
	if start <= from {
		return
	}
	r.emit(event.LogStartMoved, epoch, map[string]any{"from": from, "to": start, "why": why})
	if r.cfg.Starts == nil {
		r.StartKept(start)
	} else {
		r.lead(time.Now(), nothing) // who is in the ISR may depend on it
	}
	r.notify(anyChange)
}

func nothing(*Leader, Moment) Consequence { return Consequence{} }

// AwaitLowWatermark waits until no replica that may lead next, or is alive, has a
// record that was deleted, and none of them can find it again on its disk. It
// returns the low watermark. Errors:
//   - ErrNotLeaderOrFollower: the leadership under which it was deleted is over.
//   - ErrRequestTimedOut: ctx ended first.
//
// After each of them it is deleted here, and may be everywhere later.
func (r *Replica) AwaitLowWatermark(ctx context.Context, d Deleted) (low int64, err error) {
	r.lead(time.Now(), nothing) // who is alive may have changed since the last look
	if err := r.lows.Wait(ctx, d.Epoch, d.Before); err != nil {
		return -1, fmt.Errorf("%s: deleting the records below %d, leader epoch %d: %w", r, d.Before, d.Epoch, err)
	}
	return max(r.LowWatermark(), d.Before), nil
}

// LowWatermark is where the log starts on every replica that counts, as far as
// their leader knows; -1 if this replica does not lead or has not heard of them all.
func (r *Replica) LowWatermark() int64 {
	at := r.moment(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lowWatermarkLocked(at)
}

func (r *Replica) lowWatermarkLocked(at Moment) int64 {
	if r.role != Leading {
		return -1
	}
	return r.leader.LowWatermark(r.KeptStart(), at)
}

// KeptStart is where the log starts as its disk remembers it: what a follower says
// of its start. A start that is only in memory could be forgotten, and would bring
// back what was deleted.
func (r *Replica) KeptStart() int64 {
	if !guard.KeptStart.Holds() {
		return r.cfg.Log.LogStartOffset()
	}
	return min(r.kept.Load(), r.cfg.Log.LogStartOffset())
}

// StartKept says that the disk remembers the log to start at offset.
func (r *Replica) StartKept(offset int64) {
	if r.kept.Swap(offset) != offset {
		r.lead(time.Now(), nothing)
	}
}

// unkept reports whether the log starts later than the disk remembers.
func (r *Replica) unkept() bool { return r.kept.Load() < r.cfg.Log.LogStartOffset() }

// A StartKeeper has the disk remember where logs start, which their files do not
// tell. Its methods are safe for concurrent use and may wait for the disk.
type StartKeeper interface {
	// Keep remembers every replica's start, and calls StartKept of each.
	Keep() error
	// Lower remembers that r starts at offset at the latest, then calls change,
	// which makes it so, and StartKept. Nothing is remembered meanwhile: a start
	// above the log's new records would hide them after a crash.
	Lower(r *Replica, offset int64, change func() error) error
}
