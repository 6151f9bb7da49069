package partition

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
)

// locateWindow is how much of a file is read at once in search of an offset.
const locateWindow = 4 << 10

var windows = sync.Pool{New: func() any { return new([locateWindow]byte) }}

// Read appends to buf the whole batches that hold the offsets from `from` on and
// end at or below limit, which is exclusive like every end: a high watermark or
// the log end. They take no more than maxBytes, but with atLeastOne the first of
// them comes whatever its size. The first one may begin below from.
//
// It fails with ErrOffsetOutOfRange if from is below the log start or above the
// log end, and with a CorruptError rather than return bytes that are damaged.
// Reading at the limit returns nothing. buf comes back as it was with any error.
func (l *Log) Read(buf []byte, from, limit int64, maxBytes int, atLeastOne bool) ([]byte, error) {
	for {
		cuts := l.cuts.Load()
		out, err := l.read(buf, from, limit, maxBytes, atLeastOne)
		if l.cuts.Load() != cuts {
			continue // part of what was read may have been cut off meanwhile
		}
		if err != nil {
			return buf, err
		}
		return out, nil
	}
}

// Lend is Read without a copy: it appends to spans the batches that Read would return,
// or the first of them, if they lie in memory that is shared, as the newest of a log
// on a memory disk do. ok is false if they do not, or if there is a reason to fail, and
// then Read has to be asked.
func (l *Log) Lend(spans []slab.Span, from, limit int64, maxBytes int, atLeastOne bool) (lent []slab.Span, ok bool) {
	cuts := l.cuts.Load()
	end := l.end.Load()
	if from < l.start.Load() || from > end {
		return spans, false
	}
	r := reading{from: from, limit: min(limit, end), end: end, left: maxBytes, must: atLeastOne}
	lent, ok = l.tip.tail.lend(spans, &r)
	if !ok || l.cuts.Load() != cuts {
		return spans, false
	}
	return lent, true
}

func (l *Log) read(buf []byte, from, limit int64, maxBytes int, atLeastOne bool) ([]byte, error) {
	start, end := l.start.Load(), l.end.Load()
	if from < start || from > end {
		return nil, l.refuse(metadata.ErrOffsetOutOfRange, "offset %d is not in %d to %d", from, start, end)
	}
	r := reading{from: from, limit: min(limit, end), end: end, left: maxBytes, must: atLeastOne, gaps: l.gaps.Load(), epochs: l.epochs.load()}
	if out, ok := l.tip.tail.read(buf, &r); ok {
		return out, nil
	}
	segments := *l.segments.Load()
	i, found := slices.BinarySearchFunc(segments, from, compareBase)
	if !found && i > 0 {
		i--
	}
	filled := len(buf)
	for ; i < len(segments) && r.from < r.limit; i++ {
		out, more, err := r.segment(buf, segments[i])
		if err != nil && len(buf) == filled {
			return nil, l.readError(err)
		}
		if err != nil || !more {
			return out, nil // damage behind good batches shows when it is asked for
		}
		buf = out
	}
	if r.from < r.limit && len(buf) == filled && !r.gaps {
		last := segments[len(segments)-1]
		return nil, last.corrupt(last.size.Load(), fmt.Sprintf("there is nothing from offset %d on", r.from))
	}
	return buf, nil
}

func compareBase(s *segment, offset int64) int {
	switch {
	case s.base < offset:
		return -1
	case s.base > offset:
		return 1
	}
	return 0
}

// readError leaves a CorruptError as it is, and says of all else that the disk
// failed.
func (l *Log) readError(err error) error {
	if c, ok := errors.AsType[*CorruptError](err); ok {
		return c
	}
	if closedFile(err) {
		return l.storage("read", ErrClosed)
	}
	return l.storage("read", err)
}

// A reading is what is still to be read, from one segment to the next.
type reading struct {
	from, limit int64
	end         int64 // the log's
	left        int   // bytes that may still be returned
	must        bool  // the next batch, however large
	gaps        bool  // the next batch may begin above from
	epochs      epochStarts
}

// segment appends what s holds of the reading to buf. more is true if it took
// everything up to the segment's end and there may be more behind. On an error
// buf comes back unchanged in content.
func (r *reading) segment(buf []byte, s *segment) (out []byte, more bool, err error) {
	window := windows.Get().(*[locateWindow]byte)
	defer windows.Put(window)
	sc := s.scan(s.index.floor(r.from-s.base), window[:])
	sc.dense = !r.gaps
	if err := sc.locate(r.from); err != nil {
		return buf, false, err
	}
	at, size := sc.pos, sc.end.at()
	stop := size
	if p, ok := s.index.ceiling(r.limit - s.base); ok {
		stop = min(stop, p)
	}
	n := min(int64(r.left), stop-at)
	if r.must {
		n = max(n, min(HeaderSize, stop-at))
	}
	if n < HeaderSize {
		return buf, at >= size, sc.settle()
	}
	if buf, err = appendFrom(buf, s, at, n); err != nil {
		return buf, false, err
	}
	if first := Batch(buf[len(buf)-int(n):]); r.must && first.headerFault() == "" && first.Size() > n && first.Size() <= stop-at {
		rest := first.Size() - n
		if buf, err = appendFrom(buf, s, at+n, rest); err != nil {
			return buf[:len(buf)-int(n)], false, err
		}
		n += rest
	}
	taken, err := r.take(buf[len(buf)-int(n):], &sc)
	if err == nil {
		err = sc.settle()
	}
	if err != nil {
		taken = int(max(0, min(sc.sure-at, int64(taken))))
	}
	buf = buf[:len(buf)-int(n)+taken]
	if err != nil && taken == 0 {
		return buf, false, err
	}
	return buf, err == nil && at+int64(taken) == size, nil
}

// take returns how many bytes at the front of chunk, which was read where the scanner
// is, are whole batches that belong to the reading.
func (r *reading) take(chunk []byte, sc *scanner) (taken int, err error) {
	for len(chunk)-taken >= HeaderSize {
		b, s, position := Batch(chunk[taken:]), sc.s, sc.pos
		if err := sc.look(b); err != nil {
			return taken, err
		}
		if b.NextOffset() <= r.from || b.BaseOffset() > r.from && !r.gaps {
			return taken, s.corrupt(position, "its offset is not the next one")
		}
		if b.BaseOffset() < r.end && b.NextOffset() > r.end {
			return taken, s.corrupt(position, "its offsets reach over the end of the log")
		}
		if b.NextOffset() > r.limit || b.Size() > int64(len(b)) {
			return taken, nil
		}
		b = b[:b.Size()]
		if b.Checksum() != b.CRC() {
			return taken, s.corrupt(position, "its checksum is wrong")
		}
		if why := r.epochs.contradict(b); why != "" {
			return taken, s.corrupt(position, why)
		}
		if err := sc.pass(b); err != nil {
			return taken, err
		}
		taken += len(b)
		r.from, r.left, r.must = b.NextOffset(), r.left-len(b), false
	}
	return taken, nil
}

// appendFrom appends n bytes of the segment to buf.
func appendFrom(buf []byte, s *segment, at, n int64) ([]byte, error) {
	filled := len(buf)
	buf = slices.Grow(buf, int(n))[:filled+int(n)]
	if err := s.readFull(buf[filled:], at); err != nil {
		return buf[:filled], err
	}
	return buf, nil
}
