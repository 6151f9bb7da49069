package partition

import (
	"slices"
	"time"
)

// Compaction is what a log's compaction goes by (KIP-58).
type Compaction struct {
	FirstDirty int64 // where the last compaction ended; one that cannot be is taken for the log start
	Committed  int64 // the high watermark: nothing at or above is looked at

	DeleteRetention time.Duration // delete.retention.ms: how long tombstones stay once older values are gone
	MinLag          time.Duration // min.compaction.lag.ms: how old the newest record of a segment must be
	MaxLag          time.Duration // max.compaction.lag.ms: when a segment is due whatever the ratio is (KIP-354)

	// Check is asked now and then during the work; its error ends it. nil: go on.
	Check func() error
}

// Dirtiness says how much there is to compact in a log.
type Dirtiness struct {
	FirstDirty  int64 // everything below is compacted
	End         int64 // where the first segment begins that may not be compacted yet
	Clean, Dirt int64 // bytes of the segments below FirstDirty, and of those up to End
	Overdue     bool  // something has been uncompacted for longer than max.compaction.lag.ms
}

// Ratio is the share of the log that is dirty, of what may be compacted.
func (d Dirtiness) Ratio() float64 {
	if d.Dirt == 0 {
		return 0
	}
	return float64(d.Dirt) / float64(d.Clean+d.Dirt)
}

// Due reports whether the log should be compacted: because more than
// min.cleanable.dirty.ratio of it is dirty, or it has waited for too long.
func (d Dirtiness) Due(minRatio float64) bool {
	return d.Dirt > 0 && (d.Overdue || d.Ratio() > minRatio)
}

// Dirtiness tells how much of the log could be compacted now.
func (l *Log) Dirtiness(now time.Time, how Compaction) Dirtiness {
	defer l.hold()()
	d, _ := l.dirtiness(now, how)
	return d
}

// dirtiness also returns the segments that begin below End. The slot is held.
func (l *Log) dirtiness(now time.Time, how Compaction) (Dirtiness, []*segment) {
	segments := *l.segments.Load()
	d := Dirtiness{FirstDirty: how.FirstDirty}
	if start := l.start.Load(); d.FirstDirty < start || d.FirstDirty > l.end.Load() {
		d.FirstDirty = start
	}
	sealed := segments[:len(segments)-1] // the active one is never compacted
	first := max(0, countBelow(segments, d.FirstDirty+1)-1)
	n := first
	for n < len(sealed) && segments[n+1].base <= how.Committed && !sealed[n].tooYoung(now, how.MinLag) {
		n++
	}
	for i, s := range sealed {
		if i >= first && s.waited(now) > how.MaxLag && how.MaxLag > 0 {
			d.Overdue = true
		}
		switch {
		case i < first:
			d.Clean += s.size.Load()
		case i < n:
			d.Dirt += s.size.Load()
		}
	}
	d.End = segments[n].base
	return d, slices.Clip(segments[:n])
}

// countBelow returns how many of the segments begin below offset.
func countBelow(segments []*segment, offset int64) int {
	i, _ := slices.BinarySearchFunc(segments, offset, compareBase)
	return i
}

// tooYoung reports whether a sealed segment has a record that is younger than lag.
func (s *segment) tooYoung(now time.Time, lag time.Duration) bool {
	s.look(now, s.size.Load())
	if lag <= 0 {
		return false
	}
	if newest := s.times.newest.Load(); newest >= 0 {
		return addMillis(now.UnixMilli(), -newest) < lag.Milliseconds()
	}
	return now.Sub(s.seen.touched) < lag
}

// waited returns the age of a sealed segment's first batch; 0 if it has no timestamp.
func (s *segment) waited(now time.Time) time.Duration {
	if s.seen.first <= 0 {
		return 0
	}
	return now.Sub(time.UnixMilli(s.seen.first))
}
