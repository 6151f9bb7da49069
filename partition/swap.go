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
//  2. the old segments are removed, but for the first, which has the new segment's
//     name;
//  3. the files get their names, the batches last and once the others have theirs for
//     good, and so the first old ones go.
//
// How many old segments there were a crash does not forget: all that begin where the
// new one does or in it, and its last batch ends where the last of them did.

// replaced are the files that a new segment brings along, the batches last.
var replaced = []string{indexSuffix, timeSuffix, milestoneSuffix, logSuffix}

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
		if b == base {
			continue // the new ones take the names
		}
		for _, suffix := range suffixes {
			if err := removeThere(l.fs, segmentName(l.dir, b, suffix)); err != nil {
				return err
			}
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	for _, suffix := range replaced {
		if suffix == logSuffix { // the others say what is in it
			if err := l.fs.SyncDir(l.dir); err != nil {
				return err
			}
		}
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
	m, name := &s.milestones, segmentName(l.dir, base, milestoneSuffix)
	if err = m.open(l.fs, name+swapSuffix, size); err == nil && m.file == nil {
		err = m.open(l.fs, name, size) // it has got its name
	}
	if err != nil {
		return 0, err
	}
	end = base
	in, ahead := new(stream), m.load()[1:]
	in.begin(s)
	for at, next := int64(0), base; at < size; {
		h, err := s.sound(in, at, size)
		if err != nil || h == nil || h.BaseOffset() < next {
			return end, err
		}
		m.sum = h.addTo(m.sum)
		at, next = at+h.Size(), h.NextOffset()
		switch {
		case !m.vouches:
			end = next
		case len(ahead) > 0 && at >= ahead[0].at():
			if ahead[0] != (milestone{uint32(at), m.sum}) {
				return end, nil
			}
			end, ahead = next, ahead[1:]
		}
	}
	return end, nil
}

// sound returns a copy of the header of the batch at a position; nil if the batch is not sound.
func (s *segment) sound(in *stream, at, size int64) (h Batch, err error) {
	head, err := in.window(at, HeaderSize, size)
	if err != nil || len(head) < HeaderSize || Batch(head).headerFault() != "" || Batch(head).Size() > size-at {
		return nil, err
	}
	h = slices.Clone(Batch(head))
	ok, err := in.sound(at, h.Size(), size)
	if !ok {
		h = nil
	}
	return h, err
}
