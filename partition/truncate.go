package partition

import (
	"math"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// Truncate cuts the log so that it ends at `to`, which becomes the log end offset;
// if to lies inside a batch, the whole batch goes and the log ends where it began.
// Epochs that begin at or above go too, even if no record does. It returns where
// the log ended before. The cut is durable when it returns, so that no crash can
// mix what was cut off with what is appended afterwards.
//
// Below the first segment there is nothing to keep: that is a Reset. So it is if the
// batch goes that the log starts in; then the log goes on at its start.
func (l *Log) Truncate(to int64) (from int64, err error) {
	if to < 0 {
		return 0, l.refuse(metadata.ErrOffsetOutOfRange, "truncate to %d", to)
	}
	defer l.hold()()
	if err := l.ready(); err != nil {
		return 0, err
	}
	defer l.still()()
	from = l.end.Load()
	segments := *l.segments.Load()
	if to < segments[0].base {
		return from, l.reset(to)
	}
	if to < from {
		err = l.truncate(to)
	} else {
		err = l.cutEpochs(to)
	}
	return from, err
}

// truncate cuts something off. Both slots are held.
func (l *Log) truncate(to int64) error {
	segments := *l.segments.Load()
	keep := len(segments)
	for segments[keep-1].base > to {
		keep--
	}
	last := segments[keep-1]
	cut, end, err := last.boundary(to)
	if err != nil {
		return l.readError(err)
	}
	if start := l.start.Load(); end < start && start <= to {
		return l.reset(start) // the batch that the log starts in goes, and nothing is left
	}
	newest, err := last.newestBefore(end)
	if err != nil {
		return l.readError(err)
	}
	relearn, removed := l.producers.reaching(end), l.recoveryPoint.Load() > end
	fewer := false
	l.publish(func() {
		l.end.Store(end)
		l.start.Store(min(l.start.Load(), end))
		kept := segments[:keep:keep]
		l.segments.Store(&kept)
		last.size.Store(cut)
		last.index.truncate(cut.at())
		last.times.truncate(end-last.base, newest)
		fewer = last.milestones.cut(cut)
	})
	l.tip.move(end, cut, last)
	last.sealed = nil
	// What was proven is not so any more. A crash from here on leaves a log that is
	// read whole, or longer.
	if err := l.removeSnapshots(end + 1); err != nil {
		return l.fail("remove a snapshot", err)
	}
	// The newest go first, and durably: a crash in between leaves a log that is
	// merely longer.
	if err := l.removeSegments(segments[keep:]); err != nil {
		return err
	}
	if err := last.file.Truncate(cut.at()); err != nil {
		return l.fail("truncate", err)
	}
	if fewer { // they go when what they vouch for is gone for good, and before anything takes its place
		if err := last.file.Sync(); err != nil {
			return l.fail("truncate", err)
		}
		last.milestones.ahead.Store(true)
	}
	if err := l.syncHeld(); err != nil {
		return err
	}
	if err := l.cutEpochs(end); err != nil {
		return err
	}
	if len(relearn) > 0 {
		learned, err := l.learnProducers()
		if err != nil {
			return l.fail("read the producers", err)
		}
		l.producers.relearn(relearn, learned)
	}
	if removed {
		return l.prove(end)
	}
	return nil
}

// cutEpochs forgets the epochs that begin at end or above, where the log ends. If none is
// left, but batches below the log's start, that is where the last one's begins, as in any
// log whose records are all deleted: what is known of the epochs has to account for every
// batch that there is. The slot is held.
func (l *Log) cutEpochs(end int64) error {
	left := l.epochs.load().truncateFromEnd(end)
	if len(left) == 0 {
		epoch, err := l.lastEpoch()
		if err != nil {
			return l.readError(err)
		}
		left = left.assign(epoch, l.start.Load())
	}
	return l.setEpochs(left)
}

// lastEpoch is the epoch of the last batch; -1 if there is no batch.
func (l *Log) lastEpoch() (epoch int32, err error) {
	for _, s := range slices.Backward(*l.segments.Load()) {
		epoch = -1
		sc := s.scan(s.index.floor(math.MaxInt32), make([]byte, locateWindow))
		for sc.more() {
			b, err := sc.next()
			if err != nil {
				return 0, err
			}
			epoch = b.LeaderEpoch()
			if err := sc.pass(b); err != nil {
				return 0, err
			}
		}
		if epoch >= 0 {
			break
		}
	}
	return epoch, nil
}

// boundary finds the end of the last batch that lies wholly below to, and the offset
// behind it.
func (s *segment) boundary(to int64) (cut milestone, end int64, err error) {
	sc, err := s.scanFrom(to, make([]byte, locateWindow))
	if err != nil {
		return cut, 0, err
	}
	cut, end = milestone{uint32(sc.pos), sc.sum}, to
	if sc.more() { // otherwise, an offset that compaction has left out
		b, err := sc.next()
		if err != nil {
			return cut, 0, err
		}
		end = min(to, b.BaseOffset())
	}
	return cut, end, sc.settle()
}

// publish shows readers a log that has lost something. Whoever read while it ran
// reads again, and whoever begins afterwards cannot reach what is gone; so the
// files may be changed once it returns.
func (l *Log) publish(change func()) {
	l.cuts.Add(1)
	change()
	l.cuts.Add(1)
}

// removeSegments removes the files of segments, the newest first, durably.
func (l *Log) removeSegments(gone []*segment) error {
	for i := len(gone) - 1; i >= 0; i-- {
		if err := gone[i].remove(l.fs, l.dir); err != nil {
			return l.fail("remove a segment", err)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail("remove a segment", err)
	}
	return nil
}

// Reset drops everything and goes on at offset, with neither epochs nor producers:
// what a follower does whose log has nothing in common with its leader's any more.
func (l *Log) Reset(offset int64) error {
	if offset < 0 {
		return l.refuse(metadata.ErrOffsetOutOfRange, "reset to %d", offset)
	}
	defer l.hold()()
	if err := l.ready(); err != nil {
		return err
	}
	defer l.still()()
	return l.reset(offset)
}

// reset begins anew. Both slots are held.
func (l *Log) reset(offset int64) error {
	segments := *l.segments.Load()
	l.publish(func() {
		l.start.Store(offset)
		l.end.Store(offset)
	})
	if err := l.removeSnapshots(0); err != nil {
		return l.fail("remove a snapshot", err)
	}
	if err := l.setEpochs(nil); err != nil {
		return err
	}
	l.producers = producers{}
	if err := l.removeSegments(segments); err != nil {
		return err
	}
	s, err := createSegment(l.fs, l.dir, offset)
	if err != nil {
		return l.fail("make a segment", err)
	}
	l.segments.Store(&[]*segment{s})
	l.tip.move(offset, s.size.end(), s)
	l.newNames.Store(true)
	return l.syncHeld()
}

// SetLogStart forgets the records below offset: they can be read no more. It never
// goes back. The files stay until retention removes them, and the broker remembers
// the offset across restarts, in its checkpoint.
func (l *Log) SetLogStart(offset int64) error {
	defer l.hold()()
	if err := l.usable(); err != nil {
		return err
	}
	if end := l.end.Load(); offset > end {
		return l.refuse(metadata.ErrOffsetOutOfRange, "start at %d behind the end %d", offset, end)
	}
	if offset <= l.start.Load() {
		return nil
	}
	l.start.Store(offset)
	return l.setEpochs(l.epochs.load().truncateFromStart(offset))
}
