package replication

import (
	"fmt"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// OffsetForTime answers ListOffsets for a timestamp: the first committed record
// that is not older than ms, partition.NoTimedOffset if there is none. Errors as
// for Read, and ErrOffsetNotAvailable if there is none while a new leader does not
// know yet how much is committed (KIP-207).
func (r *Replica) OffsetForTime(currentLeaderEpoch int32, ms int64) (partition.TimedOffset, error) {
	return r.timed(currentLeaderEpoch, func(int64) (partition.TimedOffset, error) { return r.cfg.Log.OffsetForTime(ms) })
}

// OffsetOfMaxTime answers ListOffsets for the largest timestamp (KIP-734) among
// the committed records. Errors as for OffsetForTime.
func (r *Replica) OffsetOfMaxTime(currentLeaderEpoch int32) (partition.TimedOffset, error) {
	if _, _, err := r.EndOffset(currentLeaderEpoch); err != nil {
		return partition.NoTimedOffset, err // what is not known to be committed may be newer
	}
	return r.timed(currentLeaderEpoch, r.cfg.Log.OffsetOfMaxTime)
}

// timed looks something up in the leader's log, below the high watermark.
func (r *Replica) timed(currentLeaderEpoch int32, look func(hw int64) (partition.TimedOffset, error)) (partition.TimedOffset, error) {
	epoch, hw, err := r.leadership(currentLeaderEpoch)
	if err != nil {
		return partition.NoTimedOffset, err
	}
	found, err := look(hw)
	if err != nil {
		return partition.NoTimedOffset, r.readFailed(err, epoch)
	}
	if !r.stillLeads(epoch) {
		return partition.NoTimedOffset, fmt.Errorf("%s: leader epoch %d ended during the search: %w", r, epoch, metadata.ErrNotLeaderOrFollower)
	}
	if found.Offset >= 0 && found.Offset < hw {
		return found, nil
	}
	_, _, err = r.EndOffset(currentLeaderEpoch)
	return partition.NoTimedOffset, err
}
