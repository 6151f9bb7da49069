package partition

import (
	"fmt"
	"hash/crc32"
	"path"
	"slices"

	"github.com/brokersim/brokersim/internal/vfs"
)

// Recovery says what Open found.
type Recovery struct {
	LogStartOffset, LogEndOffset int64
	// TornBytes is how much was cut off the end: an append that a crash left
	// unfinished. It was never acknowledged, if the crash was the process's alone.
	TornBytes int64
	// Garbled is true if what was cut off began with a batch that is all there and wrong. A
	// power loss explains that, an append that its process left unfinished does not.
	Garbled bool
	// Missing is how many offsets are missing at the front of the log, by its checkpoint
	// of the epochs: segments that nobody has removed on purpose.
	Missing int64
	// Corrupt is not empty if the log was damaged in a way that no unfinished append
	// explains: something valid lies behind the damage, or a file is missing. The log
	// ends before the damage; the rest, committed records perhaps, is gone from here.
	// There is at most one.
	Corrupt []*CorruptError
}

// A recovery is Open's walk over all batches, from the first to the last good one.
// What it learns on the way becomes the log's state.
type recovery struct {
	log  *Log
	gaps bool // offsets may be missing between batches
	buf  []byte

	next     int64 // offset that the next batch must have
	epochs   epochStarts
	segments []*segment
	found    Recovery
}

// recover reads the log from its files, cuts off what cannot be kept and publishes
// the rest.
func (l *Log) recover() (Recovery, error) {
	bases, err := l.segmentFiles()
	if err != nil {
		return Recovery{}, err
	}
	r := recovery{log: l, gaps: l.gaps.Load(), buf: make([]byte, 64<<10)}
	r.found.Missing = r.missing(bases)
	defer func() { l.segments.Store(&r.segments) }()
	for i, base := range bases {
		intact, err := r.open(base, bases[i+1:])
		if err != nil {
			return Recovery{}, l.storage("recover", err)
		}
		if !intact {
			if err := r.drop(bases[len(r.segments):]); err != nil {
				return Recovery{}, l.storage("recover", err)
			}
			break
		}
	}
	for _, s := range r.segments[:max(0, len(r.segments)-1)] {
		if s.times.mark(); err == nil {
			err = s.flushIndexes()
		}
	}
	if err != nil {
		return Recovery{}, l.storage("write the indexes", err)
	}
	if len(r.segments) == 0 {
		s, err := createSegment(l.fs, l.dir, 0)
		if err != nil {
			return Recovery{}, l.storage("make a segment", err)
		}
		r.segments = append(r.segments, s)
	}
	l.start.Store(r.segments[0].base)
	l.end.Store(r.next)
	r.found.LogStartOffset, r.found.LogEndOffset = l.start.Load(), l.end.Load()
	return r.found, l.restoreEpochs(r.epochs)
}

// segmentFiles returns the bases of the segments there are, in order, and sweeps
// up what an interrupted change has left behind.
func (l *Log) segmentFiles() (bases []int64, err error) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return nil, l.storage("list the segments", err)
	}
	var stray []string
	for _, name := range names {
		base, isLog := segmentBase(name, logSuffix)
		of, isIndex := indexBase(name)
		switch {
		case isLog:
			bases = append(bases, base)
		case isIndex && !slices.Contains(names, path.Base(segmentName("", of, logSuffix))),
			leftover(name):
			stray = append(stray, name)
		}
	}
	for _, name := range stray {
		if err := l.fs.Remove(path.Join(l.dir, name)); err != nil {
			return nil, l.storage("sweep up", err)
		}
	}
	return bases, nil // names are sorted, so these are
}

// indexBase returns the offset in the name of an index.
func indexBase(name string) (base int64, ok bool) {
	if base, ok = segmentBase(name, indexSuffix); ok {
		return base, ok
	}
	return segmentBase(name, timeSuffix)
}

// open takes one segment into the log, as far as it is good. intact is false if the
// log ends here whatever follows.
func (r *recovery) open(base int64, following []int64) (intact bool, err error) {
	l := r.log
	switch {
	case len(r.segments) == 0:
		r.next = base
	case base < r.next:
		r.corrupt(segmentName(l.dir, base, logSuffix), 0, "it begins below the end of the segment before")
		return false, nil
	case base > r.next && !r.gaps:
		r.corrupt(segmentName(l.dir, base, logSuffix), 0, "the records before it are missing")
		return false, nil
	default:
		r.next = base
	}
	s, err := openSegment(l.fs, l.dir, base)
	if err != nil {
		return false, err
	}
	r.segments = append(r.segments, s)
	size := s.size.Load()
	good, why, err := r.walk(s, size)
	if err != nil || good == size {
		return err == nil, err
	}
	follows, err := r.validBehind(s, good, size, following)
	if err != nil {
		return false, err
	}
	if follows {
		r.corrupt(s.name, good, why)
	} else {
		r.found.TornBytes += size - good
		if r.found.Garbled, err = r.garbled(s, good, size); err != nil {
			return false, err
		}
	}
	return false, r.cut(s, good)
}

// missing counts the offsets that the log lacks at the front. What removes segments there
// first says in the checkpoint of the epochs where the log is to start.
func (r *recovery) missing(bases []int64) int64 {
	b, err := vfs.ReadFile(r.log.fs, path.Join(r.log.dir, epochFile))
	if err != nil || len(bases) == 0 {
		return 0
	}
	kept, ok := decodeEpochs(b)
	if !ok || len(kept) == 0 {
		return 0
	}
	return max(0, bases[0]-kept[0].Offset)
}

// garbled reports whether what follows the good batches is wrong rather than short.
func (r *recovery) garbled(s *segment, good, size int64) (bool, error) {
	if size-good < HeaderSize {
		return false, nil
	}
	sc := scanner{s: s, window: r.buf[:locateWindow]}
	h, err := sc.header(good, size)
	return err == nil && (h.headerFault() != "" || h.Size() <= size-good), err
}

// corrupt reports damage; there is only ever one, since the log ends there.
func (r *recovery) corrupt(file string, position int64, why string) {
	r.found.Corrupt = []*CorruptError{{File: file, Offset: position, Why: why}}
}

// walk checks the batches of a segment and takes note of them. It returns where the
// good ones end, and why the next one is not good.
func (r *recovery) walk(s *segment, size int64) (good int64, why string, err error) {
	sc := scanner{s: s, window: r.buf[:locateWindow]}
	cfg := r.log.cfg.Load()
	for good < size {
		if size-good < HeaderSize {
			return good, "it ends within the header of a batch", nil
		}
		h, err := sc.header(good, size)
		if err != nil {
			return good, "", err
		}
		if why = r.refuses(h, size-good); why != "" {
			return good, why, nil
		}
		sum, err := r.checksum(s, good, h.Size())
		if err != nil {
			return good, "", err
		}
		if sum != h.CRC() {
			return good, "its checksum is wrong", nil
		}
		s.note(h, good, cfg.IndexIntervalBytes)
		r.log.producers.record(h)
		r.epochs = r.epochs.assign(h.LeaderEpoch(), h.BaseOffset())
		r.next = h.NextOffset()
		good += h.Size()
	}
	return good, "", nil
}

// refuses says why a batch cannot be the log's next one, as far as its header
// tells, with room bytes left in the file; "" if it can.
func (r *recovery) refuses(h Batch, room int64) string {
	if why := h.headerFault(); why != "" {
		return why
	}
	switch {
	case h.Size() > room:
		return "it ends within a batch"
	case h.BaseOffset() < r.next:
		return fmt.Sprintf("offset %d follows offset %d", h.BaseOffset(), r.next-1)
	case h.BaseOffset() > r.next && !r.gaps:
		return fmt.Sprintf("offset %d follows offset %d", h.BaseOffset(), r.next-1)
	case h.LeaderEpoch() < r.epochs.latest():
		return fmt.Sprintf("epoch %d follows epoch %d", h.LeaderEpoch(), r.epochs.latest())
	}
	return ""
}

// checksum computes the checksum of the batch at a position, piece by piece: a
// length that is garbage must not decide how much memory is taken.
func (r *recovery) checksum(s *segment, position, size int64) (sum uint32, err error) {
	buf := r.buf[locateWindow:] // the scanner holds the rest
	for at, end := position+atAttributes, position+size; at < end; {
		piece := buf[:min(int64(len(buf)), end-at)]
		if err := s.readFull(piece, at); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, piece)
		at += int64(len(piece))
	}
	return sum, nil
}

// cut shortens the last segment to what is good, durably: what is cut off must not
// come back between records that are appended later.
func (r *recovery) cut(s *segment, good int64) error {
	s.size.Store(good)
	if err := s.file.Truncate(good); err != nil {
		return err
	}
	return s.file.Sync()
}

// drop removes segments that lie behind the end, the newest first.
func (r *recovery) drop(bases []int64) error {
	for _, base := range slices.Backward(bases) {
		s := &segment{base: base}
		if err := s.remove(r.log.fs, r.log.dir); err != nil {
			return err
		}
	}
	return r.log.fs.SyncDir(r.log.dir)
}
