package partition

import (
	"errors"
	"io"
)

// A scanner reads the headers of a segment one after the other, through a window
// of its file.
type scanner struct {
	s      *segment
	window []byte // scratch
	have   int    // bytes of it that are filled
	at     int64  // position of the window
}

// header returns the HeaderSize bytes at position, valid until the next call. The
// caller knows that the file has them.
func (sc *scanner) header(position, end int64) (Batch, error) {
	if position < sc.at || position+HeaderSize > sc.at+int64(sc.have) {
		n := int(min(int64(len(sc.window)), end-position))
		if err := sc.s.readFull(sc.window[:n], position); err != nil {
			return nil, err
		}
		sc.at, sc.have = position, n
	}
	i := int(position - sc.at)
	return Batch(sc.window[i : i+HeaderSize]), nil
}

// next is what a walk over headers finds at a position.
func (sc *scanner) next(position, end int64) (Batch, error) {
	if end-position < HeaderSize {
		return nil, sc.s.corrupt(position, "it ends within the header of a batch")
	}
	b, err := sc.header(position, end)
	if err != nil {
		return nil, err
	}
	if why := b.headerFault(); why != "" {
		return nil, sc.s.corrupt(position, why)
	}
	if b.Size() > end-position {
		return nil, sc.s.corrupt(position, "it ends within a batch")
	}
	return b, nil
}

// locate returns the position of the first batch that holds offset or lies above
// it; end if there is none.
func (sc *scanner) locate(offset, end int64) (int64, error) {
	at, before := sc.s.index.floor(offset-sc.s.base), sc.s.base
	for at < end {
		b, err := sc.next(at, end)
		if err != nil {
			return 0, err
		}
		if b.BaseOffset() < before {
			return 0, sc.s.corrupt(at, "its offset is below the one before")
		}
		if b.NextOffset() > offset {
			return at, nil
		}
		at, before = at+b.Size(), b.NextOffset()
	}
	return end, nil
}

// readFull fills p from the segment's file, which has that much.
func (s *segment) readFull(p []byte, position int64) error {
	n, err := s.file.ReadAt(p, position)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return s.corrupt(position+int64(n), "the file is shorter than what was written to it")
	}
	return err
}

func (s *segment) corrupt(position int64, why string) *CorruptError {
	return &CorruptError{File: s.name, Offset: position, Why: why}
}
