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
// takes the place of old ones. A disk that is full is no failure of the replica.
func (r *Replica) Compact(cleaner *partition.Cleaner, now time.Time, firstDirty int64, check func() error) (partition.Compacted, error) {
	how := r.compaction(firstDirty)
	how.Check = check
	done, err := cleaner.Compact(r.cfg.Log, now, how)
	if err != nil {
		if diskBroke(err) && !errors.Is(err, syscall.ENOSPC) {
			r.failed(err)
		}
		return done, fmt.Errorf("%s: %w", r, err)
	}
	r.mu.Lock()
	epoch := r.state.LeaderEpoch
	r.mu.Unlock()
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
