package partition

import (
	"errors"
	"fmt"
	"io"
)

// A scanner reads the headers of a segment one after the other, through a window
// of its file, and compares what they add up to at each milestone that it comes to. What
// has come of headers behind the last milestone is not known to be right before settle
// has been there.
type scanner struct {
	s      *segment
	window []byte // scratch
	have   int    // bytes of it that are filled
	at     int64  // position of the window

	pos    int64       // of the next header
	sum    uint32      // of the headers before it
	ahead  []milestone // that it has not come to
	end    milestone   // of the segment, when the scan began
	sure   int64       // position of the last milestone: everything before is right
	looked int64       // a position behind which no header was looked at
	dense  bool        // only offsets count, and none is missing; see explained
}

// scan begins to read headers at the last milestone before a position.
func (s *segment) scan(position int64, window []byte) scanner {
	end := s.size.end()
	m, ahead := s.milestones.floor(min(position, end.at()))
	return scanner{s: s, window: window, pos: m.at(), sum: m.sum, ahead: ahead, end: end, sure: m.at()}
}

// scanFrom begins where the index leads to in search of an offset, and goes there.
func (s *segment) scanFrom(offset int64, window []byte) (scanner, error) {
	sc := s.scan(s.index.floor(offset-s.base), window)
	return sc, sc.locate(offset)
}

// more reports whether there are more headers.
func (sc *scanner) more() bool { return sc.pos < sc.end.at() }

// next is the header that is next, valid until the next call. There must be more.
func (sc *scanner) next() (Batch, error) {
	room := sc.end.at() - sc.pos
	if room < HeaderSize {
		return nil, sc.s.corrupt(sc.pos, "it ends within the header of a batch")
	}
	if sc.pos < sc.at || sc.pos+HeaderSize > sc.at+int64(sc.have) {
		n := int(min(int64(len(sc.window)), room))
		if err := sc.s.readFull(sc.window[:n], sc.pos); err != nil {
			return nil, err
		}
		sc.at, sc.have = sc.pos, n
	}
	i := int(sc.pos - sc.at)
	b := Batch(sc.window[i : i+HeaderSize])
	return b, sc.look(b)
}

// look says what is wrong with the next header, as far as it tells.
func (sc *scanner) look(h Batch) error {
	sc.looked = sc.pos + 1
	if why := h.headerFault(); why != "" {
		return sc.s.corrupt(sc.pos, why)
	}
	if h.Size() > sc.end.at()-sc.pos {
		return sc.s.corrupt(sc.pos, "it ends within a batch")
	}
	return nil
}

// pass goes on behind the next header. It fails at a milestone if one of the headers
// since the last one is not what was written.
func (sc *scanner) pass(h Batch) error {
	sc.sum = h.addTo(sc.sum)
	sc.pos += h.Size()
	want := sc.end
	if len(sc.ahead) > 0 && sc.ahead[0].position < want.position {
		want = sc.ahead[0]
	}
	switch {
	case sc.pos < want.at():
		return nil
	case sc.pos == want.at() && (sc.sum == want.sum || sc.dense && sc.explained(want.at())):
		sc.sure, sc.sum = sc.pos, want.sum
		sc.ahead = sc.ahead[min(1, len(sc.ahead)):]
		return nil
	}
	return sc.s.corrupt(sc.sure, fmt.Sprintf("a header from there to byte %d is not what was written", want.at()))
}

// explained reports whether the headers up to a milestone are right but for that of one
// batch, whose own checksum is wrong, and say so by themselves: each begins where the one
// before it ends. Then that batch is damaged, and the others need not suffer for it.
func (sc *scanner) explained(to int64) bool {
	damaged, next := 0, int64(noOffset)
	for at := sc.sure; at < to; {
		head, err := appendFrom(nil, sc.s, at, min(HeaderSize, to-at))
		if err != nil || len(head) < HeaderSize || Batch(head).headerFault() != "" || Batch(head).Size() > to-at {
			return false
		}
		b, err := appendFrom(nil, sc.s, at, Batch(head).Size())
		if err != nil || next != noOffset && Batch(b).BaseOffset() != next {
			return false
		}
		if Batch(b).Checksum() != Batch(b).CRC() {
			damaged++
		}
		at, next = at+int64(len(b)), Batch(b).NextOffset()
	}
	return damaged == 1
}

// settle makes sure of all headers that were looked at.
func (sc *scanner) settle() error {
	for looked := sc.looked; sc.sure < looked; {
		h, err := sc.next()
		if err == nil {
			err = sc.pass(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// locate goes to the first batch that holds offset or lies above it, or to the end.
func (sc *scanner) locate(offset int64) error {
	for sc.more() {
		h, err := sc.next()
		if err != nil || h.NextOffset() > offset {
			return err
		}
		if err := sc.pass(h); err != nil {
			return err
		}
	}
	return nil
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
