package partition

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// A slot is the writer's: whoever writes to the files holds it, for as long as the
// disk takes. Who only stages a batch does not need it, unless it is closed, by
// somebody who changes more than the log's end.
type slot struct {
	given  sync.Cond // its mutex is tip.mu
	taken  bool
	closed bool
	wanted int    // who wait to close it: nobody stages before they had it
	crowd  uint64 // appends that the newest write was for, and 1 if others came meanwhile
}

// hold waits for the writer's slot and closes it until release is called. What is
// staged is written first, unless the disk fails.
func (l *Log) hold() (release func()) {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slot.wanted++
	for t.slot.taken {
		t.slot.given.Wait()
	}
	t.slot.wanted--
	t.slot.taken, t.slot.closed = true, true
	for t.newest.number < t.staged.number && l.usable() == nil {
		l.flushLocked()
		t.slot.given.Broadcast() // who waits for that need not wait for what comes now
	}
	return l.letGo
}

func (l *Log) release() {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slot.taken, t.slot.closed = false, false
	t.slot.given.Broadcast()
}

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
	info, staged, err := l.stageLocked(b, leaderEpoch, cfg, now)
	t.mu.Unlock()
	if staged || err != nil {
		return info, err
	}
	return l.stageHeld(b, leaderEpoch, cfg, now)
}

// stageHeld stages a batch with the writer's slot held, once there is room for it.
func (l *Log) stageHeld(b Batch, leaderEpoch int32, cfg *Config, now time.Time) (AppendInfo, error) {
	defer l.hold()()
	for {
		l.tip.mu.Lock()
		info, staged, err := l.stageLocked(b, leaderEpoch, cfg, now)
		l.tip.mu.Unlock()
		if staged || err != nil {
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

// stageLocked gives the batch its place, or returns where its original is. staged
// is false if the disk has to be asked first.
func (l *Log) stageLocked(b Batch, leaderEpoch int32, cfg *Config, now time.Time) (info AppendInfo, staged bool, err error) {
	if err := l.usable(); err != nil {
		return AppendInfo{}, false, err
	}
	epochs := l.epochs.load()
	if latest := epochs.latest(); leaderEpoch < latest {
		return AppendInfo{}, false, l.refuse(metadata.ErrFencedLeaderEpoch, "append in epoch %d after %d", leaderEpoch, latest)
	}
	l.producers.sweep(now, cfg.ProducerIDExpiration)
	original, err := l.producers.check(b)
	if err != nil {
		return AppendInfo{}, false, l.refuse(err, "producer %d, epoch %d, sequence %d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	}
	t := &l.tip
	if original != nil {
		info = AppendInfo{BaseOffset: original.baseOffset, LastOffset: original.endOffset, Timestamp: original.stamp,
			Duplicate: true, LogStartOffset: l.start.Load()}
		if original.endOffset >= l.end.Load() {
			info.number = t.staged.number // it waits like its original
		}
		return info, true, nil
	}
	b.SetBaseOffset(t.staged.next)
	b.SetLeaderEpoch(leaderEpoch)
	active := t.staged.in
	if !epochs.begun(leaderEpoch, b.BaseOffset()) || !active.fits(b, t.staged.at, 0, cfg, now) {
		return AppendInfo{}, false, nil
	}
	info = AppendInfo{BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Timestamp: -1,
		Records: int(b.Count()), Bytes: len(b), LogStartOffset: l.start.Load()}
	if cfg.LogAppendTime {
		info.Timestamp = b.MaxTimestamp()
	}
	position := t.staged.at
	t.staged.number++
	t.staged.next, t.staged.at = b.NextOffset(), position+int64(len(b))
	info.number = t.staged.number
	t.tail.add(b, t.staged, t.newest, cfg.Tails)
	active.note(b, position, cfg.IndexIntervalBytes)
	active.look(now, t.staged.at)
	l.producers.record(b)
	return info, true, nil
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

// writeLocked waits until everything up to a number is written, and does it itself
// when it finds the slot free.
func (l *Log) writeLocked(number uint64) error {
	t := &l.tip
	for number > t.newest.number {
		if err := l.usable(); err != nil {
			return err
		}
		if t.slot.taken {
			t.slot.crowd = max(t.slot.crowd, 2)
			t.slot.given.Wait()
			continue
		}
		t.slot.taken = true
		l.gatherLocked()
		t.slot.crowd = t.staged.number - t.newest.number
		l.flushLocked()
		t.slot.taken = false
		t.slot.given.Broadcast()
	}
	return nil
}

// gatherLocked leaves those time to come back with their next batch who were woken
// by the write before, if there were several: one write of all batches costs little
// more than one of this alone.
func (l *Log) gatherLocked() {
	t := &l.tip
	for i := 0; i < gatherings && t.slot.crowd > 1 && t.staged.number-t.newest.number <= t.slot.crowd; i++ {
		t.mu.Unlock()
		runtime.Gosched()
		t.mu.Lock()
	}
}

// gatherings is how often others are let before a write that is shared.
const gatherings = 8

// flushLocked writes what is staged and lies in one piece. The writer's slot is
// held; tip.mu is not, during the write.
func (l *Log) flushLocked() {
	t := &l.tip
	batches, upTo := t.tail.unwritten(t.newest)
	at := t.newest.at
	t.mu.Unlock()
	_, err := upTo.in.file.WriteAt(batches, at)
	if err != nil {
		l.fail("append", err)
	}
	t.mu.Lock()
	if err == nil {
		l.wroteLocked(upTo)
	}
}

// Unwritten reports whether something is staged that is not written yet.
func (l *Log) Unwritten() bool {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.staged.number > t.newest.number && l.usable() == nil
}

// AwaitStaged waits until all that is staged is written.
func (l *Log) AwaitStaged() error {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	return l.writeLocked(t.staged.number)
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
