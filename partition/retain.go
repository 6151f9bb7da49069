package partition

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Retention is what a topic's configs say about how long records are kept.
type Retention struct {
	Delete bool          // cleanup.policy has delete: Time and Bytes count
	Time   time.Duration // retention.ms; below 0: for ever
	Bytes  int64         // retention.bytes; below 0: however many
}

// seen is what is known of a segment's age where its records do not tell. All of it
// is the writer's.
type seen struct {
	first   int64     // timestamp of the first batch; below 0: it has none
	born    time.Time // when it was first seen to have records
	touched time.Time // when it was last seen to have grown
	size    int64     // at that moment
}

// look takes account of the clock. The segment's file is that long.
func (s *segment) look(now time.Time, size int64) {
	if size == 0 || now.IsZero() || size == s.seen.size {
		return
	}
	if s.seen.born.IsZero() {
		s.seen.born = now
	}
	s.seen.touched, s.seen.size = now, size
}

// overdue reports whether a segment is to be rolled because of its age, counted
// from its first batch to a new one that has this timestamp; by the clock if the
// first batch has no timestamp. now may be zero if it is not known.
func (s *segment) overdue(timestamp int64, now time.Time, cfg *Config) bool {
	if s.seen.first >= 0 {
		return timestamp-s.seen.first > cfg.SegmentTime.Milliseconds()
	}
	return !now.IsZero() && !s.seen.born.IsZero() && now.Sub(s.seen.born) > cfg.SegmentTime
}

// expired reports whether all records of a segment are older than retention.ms.
func (s *segment) expired(now time.Time, keep time.Duration) bool {
	if keep < 0 {
		return false
	}
	if newest := s.times.newest.Load(); newest >= 0 {
		return addMillis(now.UnixMilli(), -newest) > keep.Milliseconds()
	}
	return now.Sub(s.seen.touched) > keep
}

// Retain removes the oldest segments as far as retention asks for it, or the log
// start has passed them: none that holds a record at or above committed, the high
// watermark. If everything must go a new segment is begun first. The log then
// starts where its first segment does, if that is further on. It returns how many
// segments it has removed.
func (l *Log) Retain(now time.Time, committed int64, keep Retention) (removed int, err error) {
	defer l.hold()()
	if err := l.ready(); err != nil {
		return 0, err
	}
	cfg, active := l.cfg.Load(), l.active()
	if active.size.Load() > 0 && active.seen.first < 0 && active.overdue(noTimestamp, now, cfg) {
		if err := l.roll(l.end.Load()); err != nil {
			return 0, err
		}
	}
	for _, s := range *l.segments.Load() {
		s.look(now, s.size.Load())
	}
	removed = l.removable(now, committed, keep)
	if removed == 0 {
		return 0, nil
	}
	if removed == len(*l.segments.Load()) {
		if err := l.roll(l.end.Load()); err != nil {
			return 0, err
		}
	}
	// The name of what remains must be durable: a log without files begins at 0.
	if err := l.Sync(); err != nil {
		return 0, err
	}
	return removed, l.removeOldest(removed)
}

// removable returns how many of the oldest segments may and must go.
func (l *Log) removable(now time.Time, committed int64, keep Retention) (n int) {
	segments, start, excess := *l.segments.Load(), l.start.Load(), l.Size()-keep.Bytes
	for i, s := range segments {
		size, end, last := s.size.Load(), l.end.Load(), i+1 == len(segments)
		if !last {
			end = segments[i+1].base
		}
		if end > committed || last && size == 0 {
			break
		}
		passed := !last && end <= start
		old := keep.Delete && (s.expired(now, keep.Time) || keep.Bytes >= 0 && excess >= size)
		if !passed && !old {
			break
		}
		excess -= size
		n++
	}
	return n
}

// removeOldest drops n segments. Each is durably renamed first, the oldest before
// the next, so that a crash leaves no hole; recovery sweeps up what has that name.
func (l *Log) removeOldest(n int) error {
	segments := *l.segments.Load()
	gone, kept := segments[:n], segments[n:]
	start := max(l.start.Load(), kept[0].base)
	l.publish(func() {
		l.start.Store(start)
		l.segments.Store(&kept)
	})
	if err := l.setEpochs(l.epochs.load().truncateFromStart(start)); err != nil {
		return err
	}
	for _, s := range gone {
		s.close()
		for _, suffix := range suffixes {
			name := segmentName(l.dir, s.base, suffix)
			if err := l.fs.Rename(name, name+deletedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return l.fail("remove a segment", err)
			}
		}
		if err := l.fs.SyncDir(l.dir); err != nil {
			return l.fail("remove a segment", err)
		}
	}
	for _, s := range gone {
		for _, suffix := range suffixes {
			if err := l.fs.Remove(segmentName(l.dir, s.base, suffix) + deletedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return l.fail("remove a segment", err)
			}
		}
	}
	l.newNames.Store(true) // the next sync makes the removals durable
	return nil
}

// deletedSuffix is behind the names of files that are about to be removed.
const deletedSuffix = ".deleted"

// leftover reports whether a file was on its way out, or never finished.
func leftover(name string) bool {
	return strings.HasSuffix(name, ".tmp") || path.Ext(name) == deletedSuffix
}
