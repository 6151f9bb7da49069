package replication

import (
	"errors"
	"fmt"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A Follower decides for a replica that copies the leader's log: what to ask
// for, and what to do with the answer. It looks at the log and changes nothing;
// the driver does. Not safe for concurrent use.
type Follower struct {
	epoch int32 // leader epoch
	hw    int64
}

// An EpochLog is what a follower's decisions look at; *partition.Log is one.
type EpochLog interface {
	LogStartOffset() int64
	LogEndOffset() int64
	LatestEpoch() int32
	EndOffsetForEpoch(epoch int32) partition.EpochEnd
}

// A Step is what a follower does next with its log.
type Step struct {
	Kind StepKind
	To   int64  // TruncateTo, ResetTo: the new log end offset
	Why  string // for people
	Err  error  // TryLater: the reason
}

// A StepKind says what a Step does.
type StepKind int8

const (
	// AppendRecords: append what came, then take over the high watermark.
	AppendRecords StepKind = iota
	// TruncateTo: cut the log and ask again.
	TruncateTo
	// ResetTo: drop the whole log and go on at an offset.
	ResetTo
	// TryLater: the leader cannot serve this partition now.
	TryLater
	// Ignore: the answer belongs to another moment; ask again.
	Ignore
)

// Begin starts to follow in a leader epoch. The log stays as it is: what of it
// is not the leader's is found out by fetching.
func (f *Follower) Begin(epoch int32, hw int64) { f.epoch, f.hw = epoch, hw }

// Position is where the follower goes on: at the end of its log, naming the
// epoch of the record before.
func (f *Follower) Position(log EpochLog) FetchPartition {
	return FetchPartition{
		CurrentLeaderEpoch: f.epoch,
		FetchOffset:        log.LogEndOffset(),
		LastFetchedEpoch:   log.LatestEpoch(),
		LogStartOffset:     log.LogStartOffset(), // the replica says how much of that its disk remembers
	}
}

// Answer decides what to do with the leader's answer to req.
func (f *Follower) Answer(req FetchPartition, ans FetchedPartition, log EpochLog) Step {
	switch {
	case req.CurrentLeaderEpoch != f.epoch || req.FetchOffset != log.LogEndOffset():
		return Step{Kind: Ignore}
	case ans.Err != nil:
		return onError(ans, log)
	case ans.Diverging != nil:
		return diverge(*ans.Diverging, log)
	}
	return Step{Kind: AppendRecords}
}

// onError: a leader whose log starts after the follower's ends has deleted what
// the follower misses; everything else may pass.
func onError(ans FetchedPartition, log EpochLog) Step {
	if isOutOfRange(ans.Err) && ans.LogStartOffset > log.LogEndOffset() {
		return Step{Kind: ResetTo, To: ans.LogStartOffset,
			Why: fmt.Sprintf("the leader's log starts at %d only", ans.LogStartOffset)}
	}
	return Step{Kind: TryLater, Err: ans.Err}
}

// diverge finds where to cut. The leader named the newest epoch that it has up to
// the follower's last one, and where it ends there. If the follower knows that
// epoch, both agree up to the smaller of the two ends. If not, everything that
// the follower has of later epochs is foreign: it cuts that off, back to the end
// of its own newest epoch below, and asks again with that one (KIP-279).
func diverge(leader partition.EpochEnd, log EpochLog) Step {
	end := log.LogEndOffset()
	own := log.EndOffsetForEpoch(leader.Epoch)
	if own.Epoch != leader.Epoch && own.Epoch >= 0 && guard.StepBack.Holds() {
		return Step{Kind: TruncateTo, To: min(own.Offset, end),
			Why: fmt.Sprintf("the leader has nothing of epoch %d", log.LatestEpoch())}
	}
	to := min(leader.Offset, end)
	if own.Epoch == leader.Epoch {
		to = min(to, own.Offset)
	}
	return Step{Kind: TruncateTo, To: max(to, 0),
		Why: fmt.Sprintf("epoch %d ends at %d on the leader", leader.Epoch, leader.Offset)}
}

// HighWatermark is what this replica knows to be committed.
func (f *Follower) HighWatermark() int64 { return f.hw }

// Advance takes over the leader's high watermark as far as the own log goes. It
// does not go back when a new leader knows less: what is committed stays so.
func (f *Follower) Advance(leaderHW, logEnd int64) bool {
	hw := min(leaderHW, logEnd)
	if hw <= f.hw {
		return false
	}
	f.hw = hw
	return true
}

// Truncated says that the log now ends at logEnd. Below the high watermark that
// is legal after an unclean election only.
func (f *Follower) Truncated(logEnd int64) { f.hw = min(f.hw, logEnd) }

// Reset says that the log now is empty and goes on at an offset.
func (f *Follower) Reset(offset int64) { f.hw = offset }

// divergence is the leader's side: it compares a follower's last epoch with its
// own history and answers where they part, or nil if the fetch goes on from a
// point that both share.
func divergence(req ReadRequest, log EpochLog) *partition.EpochEnd {
	end := log.EndOffsetForEpoch(req.LastFetchedEpoch)
	if req.LastFetchedEpoch >= 0 && end.Epoch < 0 {
		// An epoch newer than anything here: only what this log has can be shared.
		end = log.EndOffsetForEpoch(log.LatestEpoch())
	}
	switch {
	case req.LastFetchedEpoch < 0:
		if req.Offset <= log.LogEndOffset() {
			return nil
		}
		end = partition.EpochEnd{Epoch: log.LatestEpoch(), Offset: log.LogEndOffset()}
	case end.Offset < req.Offset:
	case end.Epoch < req.LastFetchedEpoch && guard.StepBack.Holds():
	default:
		return nil
	}
	return &end
}

// isOutOfRange is a name for a comparison that reads badly in a condition.
func isOutOfRange(err error) bool { return errors.Is(err, metadata.ErrOffsetOutOfRange) }
