package replication

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// Consumer stands in ReadRequest.Follower for everybody who is no replica.
const Consumer int32 = -1

// A ReadRequest asks for records.
type ReadRequest struct {
	Offset             int64
	MaxBytes           int
	AtLeastOne         bool  // the first batch comes whole even if it is above MaxBytes
	CurrentLeaderEpoch int32 // that the asker believes in; -1: not known
	LastFetchedEpoch   int32 // epoch of the record before Offset; -1: none or not known
	Follower           int32 // broker id, or Consumer
	FollowerEpoch      int64 // the follower's broker epoch
	FollowerSession    int64 // FollowerFetch.Session
	FollowerLogStart   int64
	// Again: the same request has been read for before, and waited. What it says of the
	// follower was heard then, and may be old by now.
	Again bool
	// LendTo, if not nil, is where records go that lie in shared memory, instead of
	// being copied. They are no fewer than one, and perhaps fewer than asked for.
	LendTo []slab.Span
}

// A ReadResult answers a ReadRequest. With Err set, offsets are -1 unless they
// help: the log start comes with ErrOffsetOutOfRange.
type ReadResult struct {
	Records        []byte      // the buffer given to Read, with records appended
	Lent           []slab.Span // ReadRequest.LendTo with records appended; nil if they were not lent
	HighWatermark  int64
	LogStartOffset int64
	LogEndOffset   int64
	Diverging      *partition.EpochEnd // instead of records
	Err            error
}

// Read appends whole batches from an offset on to buf: to a consumer below the
// high watermark, to a follower up to the log's end. A follower's first read tells the
// leader how far it is, provided that it shares the leader's history up to there.
// Errors:
//   - ErrNotLeaderOrFollower: this broker does not lead, or just ceased to.
//   - ErrFencedLeaderEpoch, ErrUnknownLeaderEpoch: the asker is behind, or this broker is.
//   - ErrOffsetOutOfRange: below the log's start, or (consumers) above its end.
func (r *Replica) Read(buf []byte, req ReadRequest, now time.Time) ReadResult {
	epoch, hw, err := r.leadership(req.CurrentLeaderEpoch)
	if err != nil {
		return refused(buf, err)
	}
	log := r.cfg.Log
	res := ReadResult{Records: buf, HighWatermark: hw, LogStartOffset: log.LogStartOffset(), LogEndOffset: log.LogEndOffset()}
	if res.Diverging = r.divergence(req); res.Diverging != nil {
		if req.Follower != Consumer && !guard.DivergingIsNoProgress.Holds() {
			_, _ = r.followed(req, epoch, now)
		}
		return res
	}
	if req.Offset < res.LogStartOffset || req.Offset > res.LogEndOffset {
		start := res.LogStartOffset
		res = refused(buf, fmt.Errorf("%s: offset %d is not within %d to %d: %w",
			r, req.Offset, start, res.LogEndOffset, metadata.ErrOffsetOutOfRange))
		res.LogStartOffset = start
		return res
	}
	limit := hw
	if req.Follower != Consumer {
		if !req.Again {
			if res.HighWatermark, err = r.followed(req, epoch, now); err != nil {
				return refused(buf, err)
			}
		}
		limit = res.LogEndOffset
	} else if !guard.ReadCommitted.Holds() {
		limit = res.LogEndOffset
	}
	if req.Offset >= limit {
		return res
	}
	if err := res.read(log, buf, req, limit); err != nil {
		return refused(buf, r.readFailed(err, epoch))
	}
	// While this replica leads, its log only grows. If it still does, what was
	// read is from one history.
	if !r.stillLeads(epoch) {
		return refused(buf, fmt.Errorf("%s: leader epoch %d ended during the read: %w", r, epoch, metadata.ErrNotLeaderOrFollower))
	}
	return res
}

// read takes the records up to limit: lent, if they can be, or copied to buf.
func (res *ReadResult) read(log *partition.Log, buf []byte, req ReadRequest, limit int64) (err error) {
	if req.LendTo != nil {
		lent, ok := log.Lend(req.LendTo, req.Offset, limit, req.MaxBytes, req.AtLeastOne)
		if ok {
			res.Lent = lent
			return nil
		}
	}
	res.Records, err = log.Read(buf, req.Offset, limit, req.MaxBytes, req.AtLeastOne)
	return err
}

func refused(buf []byte, err error) ReadResult {
	return ReadResult{Records: buf, HighWatermark: -1, LogStartOffset: -1, LogEndOffset: -1, Err: err}
}

// divergence tells where the asker's history parts from this log, nil if nowhere.
// A consumer may not know its last epoch, and then is not checked.
func (r *Replica) divergence(req ReadRequest) *partition.EpochEnd {
	if !guard.FetchedEpoch.Holds() || req.Follower == Consumer && req.LastFetchedEpoch < 0 {
		return nil
	}
	return divergence(req, r.cfg.Log)
}

// followed records how far a follower is and returns the high watermark after it.
func (r *Replica) followed(req ReadRequest, epoch int32, now time.Time) (hw int64, err error) {
	at := r.moment(now)
	r.mu.Lock()
	if r.role != Leading || r.leader.state.LeaderEpoch != epoch {
		r.mu.Unlock()
		return -1, fmt.Errorf("%s: %w", r, metadata.ErrNotLeaderOrFollower)
	}
	c, err := r.leader.Fetched(FollowerFetch{
		Broker: req.Follower, BrokerEpoch: req.FollowerEpoch, Session: req.FollowerSession, Offset: req.Offset, LogStart: req.FollowerLogStart,
	}, at)
	if c.Advanced {
		r.publishLocked()
	}
	if c.Trimmed {
		r.publishLowLocked(at)
	}
	hw = r.leader.HighWatermark()
	restless := r.leader.Restless(at)
	r.mu.Unlock()
	if err != nil {
		return -1, fmt.Errorf("%s: %w", r, err)
	}
	if restless {
		r.stir()
	}
	r.after(c)
	if c.Advanced {
		r.notify(HighWatermarkMoved)
	}
	return hw, nil
}

// leadership checks that this replica leads in the epoch that a request names, -1
// if it names none, and returns the epoch and the high watermark.
func (r *Replica) leadership(asked int32) (epoch int32, hw int64, err error) {
	if r.isPending() {
		r.Settle()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	epoch = r.state.LeaderEpoch
	switch {
	case asked >= 0 && asked < epoch && guard.LeaderEpoch.Holds():
		err = metadata.ErrFencedLeaderEpoch
	case asked > epoch && guard.LeaderEpoch.Holds():
		err = metadata.ErrUnknownLeaderEpoch
	case r.role != Leading:
		err = metadata.ErrNotLeaderOrFollower
	default:
		return epoch, r.leader.HighWatermark(), nil
	}
	return -1, -1, fmt.Errorf("%s at leader epoch %d, asked for %d: %w", r, epoch, asked, err)
}

func (r *Replica) stillLeads(epoch int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.role == Leading && r.leader.state.LeaderEpoch == epoch
}

// Leading reports whether this replica leads, and in which leader epoch.
func (r *Replica) Leading() (epoch int32, ok bool) {
	epoch, _, err := r.leadership(-1)
	return epoch, err == nil
}

// EndOffset answers ListOffsets for the latest offset: the high watermark, and the
// leader epoch. Errors as for Read, and ErrOffsetNotAvailable while a new leader
// does not know yet how much is committed (KIP-207).
func (r *Replica) EndOffset(currentLeaderEpoch int32) (offset int64, epoch int32, err error) {
	if epoch, _, err = r.leadership(currentLeaderEpoch); err != nil {
		return -1, -1, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if offset, err = r.leader.EndOffset(); err != nil {
		return -1, -1, fmt.Errorf("%s: %w", r, err)
	}
	return offset, epoch, nil
}

// StartOffset answers ListOffsets for the earliest offset, with the leader epoch
// of the record there, -1 if there is none. Errors as for Read.
func (r *Replica) StartOffset(currentLeaderEpoch int32) (offset int64, epoch int32, err error) {
	if _, _, err = r.leadership(currentLeaderEpoch); err != nil {
		return -1, -1, err
	}
	offset, epoch = r.cfg.Log.LogStartOffset(), -1
	for _, start := range r.cfg.Log.Epochs() {
		if start.Offset <= offset {
			epoch = start.Epoch
		}
	}
	return offset, epoch, nil
}

// EndOffsetForEpoch answers OffsetForLeaderEpoch: where the newest epoch up to
// the given one ends in the leader's log. Errors as for Read.
func (r *Replica) EndOffsetForEpoch(currentLeaderEpoch, epoch int32) (partition.EpochEnd, error) {
	if _, _, err := r.leadership(currentLeaderEpoch); err != nil {
		return partition.EpochEnd{Epoch: -1, Offset: -1}, err
	}
	return r.cfg.Log.EndOffsetForEpoch(epoch), nil
}
