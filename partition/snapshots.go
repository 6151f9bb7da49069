package partition

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
)

// snapshotSuffix is behind the offset in the name of a snapshot.
const snapshotSuffix = ".snapshot"

// keptSnapshots is how many there are: the newest, and others should it be damaged
// or a truncation reach below it.
const keptSnapshots = 3

// maxSnapshot bounds what is read of one, in bytes.
const maxSnapshot = 1 << 28

// Distrust removes, durably, what would let the next Open leave anything unread: it
// will read and check every batch. It works on a log whose disk has failed or that
// is closed; this Log writes no more snapshots.
func (l *Log) Distrust() error {
	defer l.hold()()
	l.distrusted = true
	if err := l.removeSnapshots(0); err != nil {
		return l.storage("remove the snapshots", err)
	}
	return nil
}

// removeSnapshots removes, durably, the snapshots at an offset and above.
func (l *Log) removeSnapshots(from int64) error {
	keep := 0
	for keep < len(l.snapshots) && l.snapshots[keep] < from {
		keep++
	}
	for _, at := range slices.Backward(l.snapshots[keep:]) {
		if err := l.fs.Remove(segmentName(l.dir, at, snapshotSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	l.snapshots = l.snapshots[:keep:keep]
	if l.recoveryPoint.Load() >= from {
		l.recoveryPoint.Store(0)
	}
	return l.fs.SyncDir(l.dir)
}

// Checkpoint makes everything in the log durable and leaves a snapshot at its end.
// If nothing is appended afterwards, the next Open reads next to nothing.
func (l *Log) Checkpoint(now time.Time) error {
	defer l.hold()()
	if err := l.usable(); err != nil {
		return err
	}
	l.producers.expire(now, l.cfg.Load().ProducerIDExpiration)
	if err := l.Settle(); err != nil {
		return err
	}
	return l.seal(l.end.Load())
}

// seal makes everything durable and leaves a snapshot at an offset, the log's end or
// where the next batch will begin. The writer's slot is held.
func (l *Log) seal(at int64) error {
	defer l.still()()
	if err := l.usable(); err != nil {
		return err
	}
	l.active().times.mark()
	if err := l.syncHeld(); err != nil {
		return err
	}
	return l.prove(at)
}

// RecoveryPoint is the offset of the newest snapshot, 0 if there is none: whatever
// is below was durable when it was written, and Open need not read it again.
func (l *Log) RecoveryPoint() int64 { return l.recoveryPoint.Load() }

// prove writes a snapshot at the log's end, after making durable what the caller's
// sync of the active segment has left: the indexes, and segments that an earlier
// run of the process had written. Both slots are held.
func (l *Log) prove(at int64) error {
	if l.distrusted || at == 0 {
		return nil
	}
	segments, news := *l.segments.Load(), l.recoveryPoint.Load() != at
	var seals []seal
	for i, s := range segments {
		if s.size.Load() == 0 {
			continue
		}
		fresh, err := s.seal(i+1 < len(segments))
		if err != nil {
			return l.fail("sync a segment", err)
		}
		news = news || fresh
		seals = append(seals, *s.sealed)
	}
	if !news {
		return nil
	}
	b := encodeSnapshot(snapshot{producers: l.producers.byID, proof: true, epochs: l.provenEpochs(at), seals: seals})
	if err := vfs.WriteFileSynced(l.fs, segmentName(l.dir, at, snapshotSuffix), b); err != nil {
		return l.fail("write a snapshot", err)
	}
	if i, found := slices.BinarySearch(l.snapshots, at); !found {
		l.snapshots = slices.Insert(l.snapshots, i, at)
	}
	l.recoveryPoint.Store(at)
	return l.removeOldSnapshots()
}

// seal makes a segment durable, with the active one's batches left to the caller,
// and notes what it is. fresh is false if that was done before. The writer's slot is held.
func (s *segment) seal(batches bool) (fresh bool, err error) {
	if s.sealed != nil && s.sealed.size == s.size.Load() {
		return false, nil
	}
	s.milestones.mark(s.size.Load())
	if batches {
		err = s.file.Sync()
	}
	if err == nil {
		err = s.syncIndexes()
	}
	if err != nil {
		return false, err
	}
	s.sealed = &seal{
		base: s.base, size: s.size.Load(),
		index: s.index.sum(), times: s.times.sum(),
		newest: s.times.newest.Load(), newestAt: s.times.newestAt, headers: s.milestones.sum,
	}
	s.milestones.next = noOffset // what comes next has to be vouched for
	return true, nil
}

// provenEpochs is what a snapshot says of the epochs: those that have records, and
// in a log that starts at its end the one that they had.
func (l *Log) provenEpochs(at int64) epochStarts {
	if l.start.Load() == at {
		at++
	}
	return l.epochs.load().truncateFromEnd(at)
}

// removeOldSnapshots leaves the newest. That it is durable can wait.
func (l *Log) removeOldSnapshots() error {
	for len(l.snapshots) > keptSnapshots {
		err := l.fs.Remove(segmentName(l.dir, l.snapshots[0], snapshotSuffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return l.fail("remove a snapshot", err)
		}
		l.snapshots = l.snapshots[1:]
		l.newNames.Store(true)
	}
	return nil
}

// readSnapshot reads a snapshot; ok is false if it is not there or not good.
func (l *Log) readSnapshot(at int64) (s snapshot, ok bool, err error) {
	f, err := l.fs.Open(segmentName(l.dir, at, snapshotSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > maxSnapshot {
		return s, false, err
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return s, false, err
	}
	s, ok = decodeSnapshot(b[:n], at)
	return s, ok, nil
}

// learnProducers finds out what the log knows of its producers: from the newest
// snapshot, and from the headers behind it.
func (l *Log) learnProducers() (p producers, err error) {
	from := (*l.segments.Load())[0].base
	for _, at := range slices.Backward(l.snapshots) {
		if at < from || at > l.end.Load() {
			continue
		}
		s, ok, err := l.readSnapshot(at)
		if err != nil {
			return p, err
		}
		if ok && s.proof {
			p.byID, from = s.producers, at
			break
		}
	}
	window := make([]byte, 64<<10)
	for _, s := range l.segmentsFrom(from) {
		sc, err := s.scanFrom(from, window)
		for err == nil && sc.more() {
			var b Batch
			if b, err = sc.next(); err == nil {
				p.record(b)
				err = sc.pass(b)
			}
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}
