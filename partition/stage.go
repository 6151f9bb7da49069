package partition

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// Stage does the first half of AppendAsLeader: the batch has its place in the log,
// before all that is staged later, but is not written yet and shown to nobody. The
// caller must call AwaitWritten, which is the second half: nobody else is sure to
// write it. Stage itself waits for the disk only where an epoch or a segment begins.
func (l *Log) Stage(batch []byte, leaderEpoch int32, now time.Time) (AppendInfo, error) {
	cfg := l.cfg.Load()
	v := l.validators.Get().(*validator)
	defer l.validators.Put(v)
	b, err := v.validate(batch, cfg, now) // before any lock: it is most of the work
	if err != nil {
		return AppendInfo{}, fmt.Errorf("%s: refuse a batch: %w", l.dir, err)
	}
	t := &l.tip
	t.mu.Lock()
	for t.slot.closed || t.slot.wanted > 0 {
		t.slot.given.Wait()
	}
	info, how, err := l.stageLocked(b, leaderEpoch, cfg, now, false)
	t.mu.Unlock()
	if how != notStaged || err != nil {
		return info, err
	}
	return l.stageHeld(b, leaderEpoch, cfg, now)
}

// What became of a batch that was to be staged.
type stagedHow int

const (
	notStaged  stagedHow = iota // the disk has to be asked first
	staged                      // it follows from what is before
	stagedNews                  // it does not, and is to be vouched for
)

// stageHeld stages a batch with the writer's slot held, once there is room for it.
func (l *Log) stageHeld(b Batch, leaderEpoch int32, cfg *Config, now time.Time) (AppendInfo, error) {
	defer l.hold()()
	for {
		t := &l.tip
		t.mu.Lock()
		info, how, err := l.stageLocked(b, leaderEpoch, cfg, now, true)
		in, end := t.staged.in, t.staged.behind.at()
		t.mu.Unlock()
		if how == stagedNews {
			err = l.vouch(in, end) // before anybody writes it: the slot is closed
		}
		if how != notStaged || err != nil {
			return info, err
		}
		if err := l.makeRoom(b, cfg, now); err != nil {
			return AppendInfo{}, err
		}
	}
}

// makeRoom does on the disk what has to come before a batch, whose offset and epoch
// are given: its epoch is made durable, as in Kafka, or a segment begins.
func (l *Log) makeRoom(b Batch, cfg *Config, now time.Time) error {
	if epochs := l.epochs.load(); !epochs.begun(b.LeaderEpoch(), b.BaseOffset()) {
		return l.setEpochs(epochs.assign(b.LeaderEpoch(), b.BaseOffset()))
	}
	return l.roll(b.BaseOffset())
}

// stageLocked gives the batch its place, or returns where its original is. Only who has the
// writer's slot closed may stage what does not follow from the batch before.
func (l *Log) stageLocked(b Batch, leaderEpoch int32, cfg *Config, now time.Time, held bool) (info AppendInfo, how stagedHow, err error) {
	if err := l.usable(); err != nil {
		return AppendInfo{}, notStaged, err
	}
	epochs := l.epochs.load()
	if latest := epochs.latest(); leaderEpoch < latest {
		return AppendInfo{}, notStaged, l.refuse(metadata.ErrFencedLeaderEpoch, "append in epoch %d after %d", leaderEpoch, latest)
	}
	l.producers.sweep(now, cfg.ProducerIDExpiration)
	original, err := l.producers.check(b)
	if err != nil {
		return AppendInfo{}, notStaged, l.refuse(err, "producer %d, epoch %d, sequence %d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	}
	t := &l.tip
	if original != nil {
		info = AppendInfo{BaseOffset: original.baseOffset, LastOffset: original.endOffset, Timestamp: original.stamp,
			Duplicate: true, LogStartOffset: l.start.Load()}
		if original.endOffset >= l.end.Load() {
			info.number = t.staged.number // it waits like its original
		}
		return info, staged, nil
	}
	b.SetBaseOffset(t.staged.next)
	b.SetLeaderEpoch(leaderEpoch)
	active := t.staged.in
	follows, position := active.milestones.follows(b), t.staged.behind.at()
	if !epochs.begun(leaderEpoch, b.BaseOffset()) || !active.fits(b, position, 0, cfg, now) || !follows && !held {
		return AppendInfo{}, notStaged, nil
	}
	info = AppendInfo{BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Timestamp: -1,
		Records: int(b.Count()), Bytes: len(b), LogStartOffset: l.start.Load()}
	if cfg.LogAppendTime {
		info.Timestamp = b.MaxTimestamp()
	}
	active.note(b, position, cfg.IndexIntervalBytes)
	position += int64(len(b))
	t.staged.number++
	t.staged.next, t.staged.behind = b.NextOffset(), milestone{uint32(position), active.milestones.sum}
	info.number = t.staged.number
	if len(b) >= keptBatch && vfs.Keeps(active.file) {
		t.tail.keep(b, t.staged, t.newest)
	} else {
		t.tail.add(b, t.staged, t.newest, cfg.Tails)
	}
	active.look(now, position)
	l.producers.record(b)
	if !follows {
		return info, stagedNews, nil
	}
	return info, staged, nil
}

// AwaitWritten waits until what Stage has staged is written, together with its
// neighbours. It does the write if nobody is at one. It fails with ErrStorage if the
// disk does. What it returns says whether a sync is owed (SyncOwed).
func (l *Log) AwaitWritten(a AppendInfo) (AppendInfo, error) {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := l.writeLocked(a.number); err != nil {
		return AppendInfo{}, err
	}
	if a.number > t.shown {
		a.owed = a.number
	}
	a.number = 0
	return a, nil
}

// Rest gives back what of the tail is older than the call before. The owner calls it
// now and then: a log to which nothing is appended then has no tail.
func (l *Log) Rest() {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail.dropUpTo(min(t.rested, t.newest.number))
	t.rested = t.staged.number
}
