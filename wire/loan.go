package wire

import (
	"errors"
	"io"

	"github.com/brokersim/brokersim/internal/slab"
)

// A lender is a connection that hands over what its peer has lent it: ReadSpan is Read,
// but returns that as s, without a copy, and n is 0 then.
type lender interface {
	ReadSpan(b []byte) (n int, s slab.Span, err error)
}

// A lentReader reads from a lender, frame by frame.
type lentReader struct {
	from lender
	rest slab.Span // of what was lent: it belongs to the next frame
}

// next is ReadSpan, of at most so many bytes.
func (r *lentReader) next(b []byte, most int) (n int, s slab.Span, err error) {
	if s = r.rest; s.Len() == 0 {
		n, s, err = r.from.ReadSpan(b[:min(len(b), most)])
	}
	r.rest = slab.Span{}
	if s.Len() > most {
		s, r.rest = s.Cut(0, most), s.Cut(most, s.Len())
	}
	return n, s, err
}

// Read implements [io.Reader]: it copies.
func (r *lentReader) Read(b []byte) (int, error) {
	n, s, err := r.next(b, len(b))
	return n + copy(b, s.Bytes()), err
}

// firstRoom is the memory that a frame gets if most of it may be lent.
const firstRoom = 4 << 10

// A loan is what of an answer lies in memory that others have too. It is used again for
// the next answer.
type loan struct {
	gaps    []gap
	spans   []slab.Span // those of the gaps, then what partitions have in the frame
	stands  []stand
	records [][]slab.Span // of each partition
}

// A gap is a place in a frame whose bytes are not there, but in spans [from, to).
type gap struct {
	at       int
	from, to int
	size     int // in bytes
}

// reset ends the loan.
func (l *loan) reset() {
	clear(l.spans)
	clear(l.stands)
	clear(l.records)
	l.gaps, l.spans, l.stands, l.records = l.gaps[:0], l.spans[:0], l.stands[:0], l.records[:0]
}

// read is readFrame without what is lent: that is a gap, of which there is none in the
// first four bytes.
func (l *loan) read(r *lentReader, limit int, head *[4]byte) (*[]byte, error) {
	left, err := readLength(r, limit, head[:])
	if err != nil {
		return nil, err
	}
	frame := takeBuffer(min(left, firstRoom))
	for left > 0 {
		if len(*frame) == cap(*frame) {
			frame = larger(frame, left)
		}
		n, s, err := r.next((*frame)[len(*frame):cap(*frame)], left)
		*frame = (*frame)[:len(*frame)+n]
		if len(*frame) < 4 {
			*frame = append(*frame, s.Bytes()...)
		} else {
			l.lend(len(*frame), s)
		}
		if left -= n + s.Len(); err != nil && left > 0 {
			giveBuffer(frame)
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return frame, nil
}

// larger returns a frame with room for more bytes, of which so many are still to come: for
// all of them if there is such a buffer, otherwise for as many as readBody would make.
func larger(frame *[]byte, left int) *[]byte {
	have := len(*frame)
	if have == 0 {
		left = min(left, firstRoom)
	}
	b := takeBuffer(have + left)
	if cap(*b) <= have {
		*b = make([]byte, 0, roomFor(have+min(left, max(have, frameStep))))
	}
	*b = append(*b, *frame...)
	giveBuffer(frame)
	return b
}

// lend notes that s stands at a place in the frame, behind what stands there already.
func (l *loan) lend(at int, s slab.Span) {
	if s.Len() == 0 {
		return
	}
	if n := len(l.gaps); n == 0 || l.gaps[n-1].at != at {
		l.gaps = append(l.gaps, gap{at: at, from: len(l.spans), to: len(l.spans)})
	}
	g := &l.gaps[len(l.gaps)-1]
	g.size += s.Len()
	if g.to > g.from {
		if joined, ok := l.spans[g.to-1].Join(s); ok { // it was cut on its way
			l.spans[g.to-1] = joined
			return
		}
	}
	l.spans = append(l.spans, s)
	g.to++
}
