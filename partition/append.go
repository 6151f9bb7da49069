package partition

import (
	"fmt"
	"time"

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

	owed uint64 // number of the append that it waits for; 0: it is shown
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
	cfg := l.cfg.Load()
	v := l.validators.Get().(*validator)
	defer l.validators.Put(v)
	b, err := v.validate(batch, cfg, now) // before the slot: it is most of the work
	if err != nil {
		return AppendInfo{}, fmt.Errorf("%s: refuse a batch: %w", l.dir, err)
	}
	defer l.hold()()
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	if latest := l.LatestEpoch(); leaderEpoch < latest {
		return AppendInfo{}, l.refuse(metadata.ErrFencedLeaderEpoch, "append in epoch %d after %d", leaderEpoch, latest)
	}
	l.producers.sweep(now, cfg.ProducerIDExpiration)
	original, err := l.producers.check(b)
	if err != nil {
		return AppendInfo{}, l.refuse(err, "producer %d, epoch %d, sequence %d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	}
	if original != nil {
		return AppendInfo{BaseOffset: original.baseOffset, LastOffset: original.endOffset, Timestamp: original.stamp,
			Duplicate: true, LogStartOffset: l.start.Load(), owed: l.owed(original.endOffset + 1)}, nil
	}
	b.SetBaseOffset(l.tip.newest.next)
	b.SetLeaderEpoch(leaderEpoch)
	info := AppendInfo{BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Timestamp: -1,
		Records: int(b.Count()), Bytes: len(b), LogStartOffset: l.start.Load()}
	if cfg.LogAppendTime {
		info.Timestamp = b.MaxTimestamp()
	}
	if err := l.append(b, cfg, now); err != nil {
		return AppendInfo{}, err
	}
	info.owed = l.owed(b.NextOffset())
	return info, nil
}

// AppendAsFollower appends batches that a leader has sent, byte for byte. A last
// one that is cut off is left out, and so is what begins with a batch of an epoch
// above leaderEpoch: the sender is newer than what this replica was told. It
// fails with ErrCorruptMessage, and appends nothing, if a checksum is wrong or the
// batches do not follow the log and each other. It returns when they are shown.
func (l *Log) AppendAsFollower(batches []byte, leaderEpoch int32) (AppendInfo, error) {
	whole, err := checkFetched(batches, leaderEpoch)
	if err != nil {
		return AppendInfo{}, fmt.Errorf("%s: refuse what was fetched: %w", l.dir, err)
	}
	info, err := l.appendFetched(whole)
	if err != nil {
		return AppendInfo{}, err
	}
	return info, l.AwaitSynced(info)
}

func (l *Log) appendFetched(whole []byte) (AppendInfo, error) {
	defer l.hold()()
	if err := l.usable(); err != nil {
		return AppendInfo{}, err
	}
	cfg := l.cfg.Load()
	end := l.tip.newest.next
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
	if err := l.append(whole, cfg, time.Time{}); err != nil {
		return AppendInfo{}, err
	}
	info.owed = l.owed(next)
	return info, nil
}

// checkFetched returns the whole batches at the front of b that may be appended.
func checkFetched(b []byte, leaderEpoch int32) (whole []byte, err error) {
	rest := b
	for {
		batch, after := cut(rest)
		if batch == nil {
			if len(rest) >= HeaderSize {
				if why := Batch(rest).headerFault(); why != "" {
					return nil, refused{metadata.ErrCorruptMessage, why}
				}
			}
			return b[:len(b)-len(rest)], nil
		}
		if batch.Checksum() != batch.CRC() {
			return nil, refused{metadata.ErrCorruptMessage, "a checksum is wrong"}
		}
		if batch.LeaderEpoch() > leaderEpoch {
			return b[:len(b)-len(rest)], nil
		}
		rest = after
	}
}

// append writes whole batches, which follow the log. First
// their epochs are made durable, as in Kafka. The slot is held.
func (l *Log) append(batches []byte, cfg *Config, now time.Time) error {
	epochs := l.epochs.load()
	for b := range Batches(batches) {
		epochs = epochs.assign(b.LeaderEpoch(), b.BaseOffset())
	}
	if err := l.setEpochs(epochs); err != nil {
		return err
	}
	for len(batches) > 0 {
		n := l.fitting(batches, cfg, now)
		if n == 0 {
			if err := l.roll(Batch(batches).BaseOffset()); err != nil {
				return err
			}
			continue
		}
		if err := l.write(batches[:n], cfg, now); err != nil {
			return err
		}
		batches = batches[n:]
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

// write puts batches into the active segment with one write. They are shown to
// readers unless a sync is owed.
func (l *Log) write(batches []byte, cfg *Config, now time.Time) error {
	active := l.active()
	at := l.tip.newest.behind.at()
	position, next, follows := at, int64(0), true
	for b := range Batches(batches) {
		follows = follows && active.milestones.follows(b)
		active.note(b, position, cfg.IndexIntervalBytes)
		l.producers.record(b)
		position += int64(len(b))
		next = b.NextOffset()
	}
	if !follows {
		if err := l.vouch(active, position); err != nil {
			return err
		}
	}
	if _, err := active.file.WriteAt(batches, at); err != nil {
		return l.fail("append", err)
	}
	active.look(now, position)
	l.wrote(next, milestone{uint32(position), active.milestones.sum})
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
