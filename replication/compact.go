package replication

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/partition"
)

// Dirtiness tells how much of the log could be compacted now, in whatever role: only
// what is committed, as far as this replica knows. firstDirty is where its last
// compaction ended.
func (r *Replica) Dirtiness(now time.Time, firstDirty int64) partition.Dirtiness {
	return r.cfg.Log.Dirtiness(now, r.compaction(firstDirty))
}

// Compact compacts the log as partition.Cleaner does. It does not wait for the
// replica, nor does the replica wait for more than the moment in which a new segment
// takes the place of old ones. A disk that is full is no failure of the replica, and
// damage is what it is to a reader.
func (r *Replica) Compact(cleaner *partition.Cleaner, now time.Time, firstDirty int64, check func() error) (partition.Compacted, error) {
	how := r.compaction(firstDirty)
	how.Check = check
	done, err := cleaner.Compact(r.cfg.Log, now, how)
	epoch := r.epoch()
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return done, fmt.Errorf("%s: %w", r, err)
	case err != nil:
		return done, r.readFailed(err, epoch)
	}
	r.emit(event.LogCompacted, epoch, map[string]any{
		"from": done.From, "to": done.To, "records": done.RecordsBefore, "kept": done.RecordsAfter,
		"bytes": done.BytesBefore, "left": done.BytesAfter,
	})
	return done, nil
}

func (r *Replica) compaction(firstDirty int64) partition.Compaction {
	config := r.cfg.Config()
	return partition.Compaction{
		FirstDirty: firstDirty, Committed: r.HighWatermark(),
		DeleteRetention: config.DeleteRetention, MinLag: config.MinCompactionLag, MaxLag: config.MaxCompactionLag,
	}
}

// epoch is the leader epoch of the newest state.
func (r *Replica) epoch() int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.LeaderEpoch
}
