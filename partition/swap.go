package partition

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A segment takes the place of those that it was made from in steps between which
// the log may lose power:
//
//  1. its files, which are synced, are named .swap, the batches last. From here on
//     the new segment counts: Open goes on where a crash has stopped this;
//  2. the old segments are removed, but for the batches of the first, which have the
//     new segment's name;
//  3. the files get their names, the batches last, and so the first old ones go.
//
// How many old segments there were a crash does not forget: all that begin where the
// new one does or in it, and its last batch ends where the last of them did.

// replaced are the files that a new segment brings along, the batches last.
var replaced = []string{indexSuffix, timeSuffix, logSuffix}

// swap puts fresh in the place of group, unless the log has changed meanwhile.
func (c *compaction) swap(fresh *segment, group []*segment) error {
	l := c.log
	defer l.hold()()
	err := l.usable()
	if err == nil && l.cuts.Load() != c.cuts {
		err = ErrGivenUp
	}
	if err == nil {
		err = l.noteGaps()
	}
	if err == nil {
		err = c.disprove()
	}
	if err != nil {
		fresh.close()
		removeCleaned(l.fs, l.dir, fresh.base)
		return err
	}
	for _, suffix := range replaced {
		name := segmentName(l.dir, fresh.base, suffix)
		if err := l.fs.Rename(name+cleanedSuffix, name+swapSuffix); err != nil {
			fresh.close()
			return l.fail("swap a segment in", err)
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		fresh.close()
		return l.fail("swap a segment in", err)
	}
	l.replace(fresh, group)
	c.cuts = l.cuts.Load()
	bases := make([]int64, len(group))
	for i, s := range group {
		s.close()
		bases[i] = s.base
	}
	if err := l.finishSwap(fresh.base, bases); err != nil {
		return l.fail("swap a segment in", err)
	}
	return nil
}

// replace shows readers fresh where group was. The slot is held.
func (l *Log) replace(fresh *segment, group []*segment) {
	list := *l.segments.Load()
	i := slices.Index(list, group[0])
	oldest, newest := group[0].seen, group[len(group)-1].seen
	fresh.seen.born, fresh.seen.touched, fresh.seen.size = oldest.born, newest.touched, fresh.size.Load()
	changed := slices.Concat(list[:i], []*segment{fresh}, list[i+len(group):])
	l.publish(func() { l.segments.Store(&changed) })
}

// finishSwap does what is left once a segment's files are named .swap: old are the
// bases of the segments that it stands for. It may have been begun before.
func (l *Log) finishSwap(base int64, old []int64) error {
	for _, b := range old {
		for _, suffix := range suffixes {
			if b == base && suffix == logSuffix {
				continue
			}
			if err := removeThere(l.fs, segmentName(l.dir, b, suffix)); err != nil {
				return err
			}
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	for _, suffix := range replaced {
		name := segmentName(l.dir, base, suffix)
		if err := l.fs.Rename(name+swapSuffix, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// resumeSwaps brings to an end what a crash has left of a compaction, before anything
// else is made of the log's files: segments that were not whole are removed, and one
// that was taking the place of others takes it.
func (l *Log) resumeSwaps() error {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return l.storage("list the segments", err)
	}
	for _, name := range names {
		base, swapping := segmentBase(name, logSuffix+swapSuffix)
		if !swapping {
			continue
		}
		end, err := l.swapEnd(base)
		if err != nil {
			return l.storage("finish a compaction", err)
		}
		if err := l.finishSwap(base, replacedBy(names, base, end)); err != nil {
			return l.storage("finish a compaction", err)
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, cleanedSuffix) || strings.HasSuffix(name, swapSuffix) {
			if err := removeThere(l.fs, path.Join(l.dir, name)); err != nil {
				return l.storage("sweep up", err)
			}
		}
	}
	return nil
}

// replacedBy returns the bases of the segments from base to end. One always lies behind,
// the active one; if none does, end is not what was written.
func replacedBy(names []string, base, end int64) (old []int64) {
	behind := false
	for _, name := range names {
		if b, ok := segmentBase(name, logSuffix); ok && b > base {
			if behind = b >= end; behind {
				break
			}
			old = append(old, b)
		}
	}
	if !behind {
		old = nil
	}
	return append(old, base)
}

// swapEnd returns the offset behind a segment that is named .swap, as far as it is
// sound: damage in it is for recovery to find and report, and until then no reason to
// remove anything.
func (l *Log) swapEnd(base int64) (end int64, err error) {
	s := newSegment(l.fs, l.dir, base)
	if s.file, err = l.fs.Open(s.name + swapSuffix); err != nil {
		return 0, err
	}
	defer s.close()
	size, err := s.file.Size()
	if err != nil {
		return 0, err
	}
	end = base
	sc, in := scanner{s: s, window: make([]byte, locateWindow)}, new(stream)
	in.begin(s)
	for at := int64(0); at < size; {
		b, err := sc.next(at, size)
		if err == nil && b.BaseOffset() < end {
			err = s.corrupt(at, "its offset goes back")
		}
		if err == nil {
			err = s.checked(in, at, b.Size(), size)
		}
		if _, damaged := errors.AsType[*CorruptError](err); damaged {
			break
		}
		if err != nil {
			return 0, err
		}
		end = b.NextOffset()
		at += b.Size()
	}
	return end, nil
}

// checked compares the checksum of the batch at a position with what it should be.
func (s *segment) checked(in *stream, at, size, end int64) error {
	ok, err := in.sound(at, size, end)
	if err == nil && !ok {
		err = s.corrupt(at, "its checksum is wrong")
	}
	return err
}
