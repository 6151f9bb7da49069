package partition

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// AppendInfo says where an append went.
type AppendInfo struct {
	BaseOffset, LastOffset int64 // LastOffset is below BaseOffset if nothing was appended
	Timestamp              int64 // the leader's, in ms; -1 if the records kept their own
	Duplicate              bool  // the batch was in the log already, at these offsets
	Records                int   // by their headers' count
	Bytes                  int
	LogStartOffset         int64

	number uint64 // of the append that has to be written; 0: it was long ago
	owed   uint64 // of the append that has to be synced; 0: it is shown
}

// SyncOwed reports that the batch is written, and shown to nobody yet: whoever
// appended it calls Log.AwaitSynced before anything is told of it.
func (a AppendInfo) SyncOwed() bool { return a.owed > 0 }

// AppendAsLeader appends one batch from a client. It validates it, gives it the
// next offsets and leaderEpoch, which it patches into batch, and writes it. If
// flush.messages asks for a sync that is still owed when it returns (SyncOwed). A
// batch that an idempotent producer sends again is answered with where it already
// is, and owes what its original does. What may come back, wrapped: the errors of "a partition's log" and "an
// idempotent producer" in package metadata, a RecordError among them, and
// ErrFencedLeaderEpoch if the log holds records of a newer epoch. batch is not kept.
func (l *Log) AppendAsLeader(batch []byte, leaderEpoch int32, now time.Time) (AppendInfo, error) {
	info, err := l.Stage(batch, leaderEpoch, now)
	if err != nil {
		return AppendInfo{}, err
	}
	return l.AwaitWritten(info)
}

// AppendAsFollower appends batches that a leader has sent, byte for byte. A last
// one that is cut off is left out, and so is what begins with a batch of an epoch
// above leaderEpoch: the sender is newer than what this replica was told. It
// fails with ErrCorruptMessage, and appends nothing, if a checksum is wrong or the
// batches do not follow the log and each other. It returns when they are shown.
func (l *Log) AppendAsFollower(batches []byte, leaderEpoch int32) (AppendInfo, error) {
	return l.AppendSpanAsFollower(slab.Borrow(batches), leaderEpoch)
}

// AppendSpanAsFollower is AppendAsFollower. What of the batches is shared is kept
// without a copy, if the disk can do that.
func (l *Log) AppendSpanAsFollower(batches slab.Span, leaderEpoch int32) (AppendInfo, error) {
	size, err := checkFetched(batches.Bytes(), leaderEpoch)
	if err != nil {
		return AppendInfo{}, fmt.Errorf("%s: refuse what was fetched: %w", l.dir, err)
	}
	info, err := l.appendFetched(batches.Cut(0, size))
	if err != nil {
		return AppendInfo{}, err
	}
	return info, l.AwaitSynced(info)
}

func (l *Log) appendFetched(span slab.Span) (AppendInfo, error) {
	defer l.hold()()
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	cfg := l.cfg.Load()
	end, whole := l.tip.newest.next, span.Bytes()
	info := AppendInfo{BaseOffset: end, LastOffset: end - 1, Timestamp: -1, Bytes: len(whole), LogStartOffset: l.start.Load()}
	if len(whole) == 0 {
		return info, nil
	}
	next, err := l.aligned(Batch(whole))
	if err != nil {
		return AppendInfo{}, err
	}
	epoch, gaps := l.LatestEpoch(), false
	for b := range Batches(whole) {
		gaps = gaps || b.BaseOffset() > next
		if b.BaseOffset() < next || gaps && !cfg.Compacted && !l.gaps.Load() || b.LeaderEpoch() < epoch {
			return AppendInfo{}, l.refuse(metadata.ErrCorruptMessage, "offset %d of epoch %d fetched after offset %d of epoch %d",
				b.BaseOffset(), b.LeaderEpoch(), next-1, epoch)
		}
		next, epoch = b.NextOffset(), b.LeaderEpoch()
		info.Records += int(b.Count())
	}
	if gaps {
		if err := l.allowGaps(); err != nil {
			return AppendInfo{}, err
		}
	}
	info.BaseOffset, info.LastOffset = Batch(whole).BaseOffset(), next-1
	if err := l.append(span, cfg, time.Time{}); err != nil {
		return AppendInfo{}, err
	}
	info.owed = l.tip.owed()
	return info, nil
}

// checkFetched returns the size of the whole batches at the front of b that may be
// appended.
func checkFetched(b []byte, leaderEpoch int32) (size int, err error) {
	rest := b
	for {
		batch, after := cut(rest)
		if batch == nil {
			if len(rest) >= HeaderSize {
				if why := Batch(rest).headerFault(); why != "" {
					return 0, refused{metadata.ErrCorruptMessage, why}
				}
			}
			return len(b) - len(rest), nil
		}
		if batch.Checksum() != batch.CRC() {
			return 0, refused{metadata.ErrCorruptMessage, "a checksum is wrong"}
		}
		if batch.LeaderEpoch() > leaderEpoch {
			return len(b) - len(rest), nil
		}
		rest = after
	}
}

// append writes whole batches, which follow the log. First
// their epochs are made durable, as in Kafka. The slot is held.
func (l *Log) append(batches slab.Span, cfg *Config, now time.Time) error {
	epochs := l.epochs.load()
	for b := range Batches(batches.Bytes()) {
		epochs = epochs.assign(b.LeaderEpoch(), b.BaseOffset())
	}
	if err := l.setEpochs(epochs); err != nil {
		return err
	}
	for batches.Len() > 0 {
		n := l.fitting(batches.Bytes(), cfg, now)
		if n == 0 {
			if err := l.roll(Batch(batches.Bytes()).BaseOffset()); err != nil {
				return err
			}
			continue
		}
		if err := l.write(batches.Cut(0, n), cfg, now); err != nil {
			return err
		}
		batches = batches.Cut(n, batches.Len())
	}
	return nil
}

// fitting returns how many bytes at the front of batches go into the active
// segment.
func (l *Log) fitting(batches []byte, cfg *Config, now time.Time) int {
	active, n := l.active(), 0
	for b := range Batches(batches) {
		if !active.fits(b, l.tip.newest.behind.at(), int64(n), cfg, now) {
			break
		}
		n += len(b)
	}
	return n
}

// write puts batches into the active segment with one write, past the tail, which
// nobody reads of a follower. They are shown to readers unless a sync is owed.
func (l *Log) write(batches slab.Span, cfg *Config, now time.Time) error {
	t, active := &l.tip, l.active()
	w, at, follows := t.newest, t.newest.behind.at(), true
	position := at
	for b := range Batches(batches.Bytes()) {
		follows = follows && active.milestones.follows(b)
		active.note(b, position, cfg.IndexIntervalBytes)
		l.producers.record(b)
		position += int64(len(b))
		w.next = b.NextOffset()
	}
	w.behind = milestone{uint32(position), active.milestones.sum}
	if !follows {
		if err := l.vouch(active, position); err != nil {
			return err
		}
	}
	if _, err := vfs.WriteSpanAt(active.file, batches, at); err != nil {
		return l.fail("append", err)
	}
	active.look(now, position)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail.drop()
	w.number++
	t.staged = w
	l.wroteLocked(w)
	return nil
}

// vouch has a milestone written where the append that is about to be written ends, and
// perhaps others within it, since it does not follow from what is before. The writer's
// slot is held.
func (l *Log) vouch(s *segment, end int64) error {
	if !s.milestones.vouches {
		return nil
	}
	defer l.still()()
	s.milestones.mark(end)
	if err := s.milestones.flush(); err != nil {
		return l.fail("vouch for an append", err)
	}
	s.milestones.ahead.CompareAndSwap(false, l.gaps.Load()) // else the checkpoint of the epochs vouches, too
	return l.usable()
}
