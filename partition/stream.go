package partition

import "hash/crc32"

// streamWindow is how much recovery reads at once.
const streamWindow = 1 << 20

// A stream reads the batches of a segment from one end to the other. Each byte is
// read once, unless a batch is larger than the window.
type stream struct {
	s    *segment
	buf  []byte // scratch, kept from one segment to the next
	at   int64  // position of what is in it
	have int
}

// begin turns to another segment.
func (w *stream) begin(s *segment) { w.s, w.at, w.have = s, 0, 0 }

// window returns what lies at a position: n bytes, or what there is until end if
// that is less. It is valid until the next call.
func (w *stream) window(position, n, end int64) ([]byte, error) {
	n = min(n, end-position)
	if i := position - w.at; i >= 0 && i+n <= int64(w.have) {
		return w.buf[i : i+n], nil
	}
	kept := 0
	if i := position - w.at; i >= 0 && i < int64(w.have) {
		kept = copy(w.buf, w.buf[i:w.have])
	}
	w.at, w.have = position, kept
	want := int(min(streamWindow, end-position))
	if len(w.buf) < want {
		w.buf = append(make([]byte, 0, want), w.buf[:kept]...)[:want]
	}
	if err := w.s.readFull(w.buf[kept:want], position+int64(kept)); err != nil {
		w.have = 0
		return nil, err
	}
	w.have = want
	return w.buf[:n], nil
}

// sound reports whether the checksum of the batch at a position is right. size is
// what its header says, and not more than there is until end, up to where the
// window may be filled.
func (w *stream) sound(position, size, end int64) (bool, error) {
	if size > streamWindow {
		return w.soundInPieces(position, size)
	}
	b, err := w.window(position, size, end)
	if err != nil {
		return false, err
	}
	return Batch(b).Checksum() == Batch(b).CRC(), nil
}

// soundInPieces is for a batch that is large, or whose length is garbage: that
// must not decide how much memory is taken.
func (w *stream) soundInPieces(position, size int64) (bool, error) {
	head, err := w.window(position, HeaderSize, position+size)
	if err != nil {
		return false, err
	}
	want, sum := Batch(head).CRC(), uint32(0)
	for at, end := position+atAttributes, position+size; at < end; {
		piece, err := w.window(at, streamWindow, end)
		if err != nil {
			return false, err
		}
		sum = crc32.Update(sum, castagnoli, piece)
		at += int64(len(piece))
	}
	return sum == want, nil
}
