package partition

import "errors"

// batches calls each for the segment's batches from a position on, whole and
// checked, one after the other. That their headers are right is known when it returns.
func (c *compaction) batches(s *segment, at int64, each func(b Batch, at int64) error) error {
	sc, begin, epoch := s.scan(at, nil), at, int32(-1)
	size, next := sc.end.at(), s.base
	if cap(c.in) < ioBytes {
		c.in = make([]byte, ioBytes)
	}
	for at = sc.pos; at < size; {
		if err := c.goOn(); err != nil {
			return err
		}
		piece := c.in[:min(int64(cap(c.in)), size-at)]
		if err := s.readFull(piece, at); err != nil {
			return err
		}
		for len(piece) > 0 {
			b, more, err := s.whole(piece, at, size)
			if err != nil {
				return err
			}
			if b == nil {
				if more > int64(cap(c.in)) {
					c.in = make([]byte, more) // no more than the file has
				}
				break
			}
			if b.BaseOffset() < next || b.LeaderEpoch() < epoch {
				return s.corrupt(at, "its offset or epoch goes back")
			}
			if why := c.log.epochs.load().contradict(b); why != "" {
				return s.corrupt(at, why)
			}
			if at >= begin {
				if err := each(b, at); err != nil {
					return err
				}
			}
			if err := sc.pass(b); err != nil {
				return err
			}
			next, epoch = b.NextOffset(), b.LeaderEpoch()
			at, piece = at+int64(len(b)), piece[len(b):]
		}
	}
	return nil
}

// whole returns the first batch of a piece that was read at a position, or nil and
// the bytes that it has.
func (s *segment) whole(piece []byte, at, size int64) (b Batch, more int64, err error) {
	if size-at < HeaderSize {
		return nil, 0, s.corrupt(at, "it ends within the header of a batch")
	}
	if len(piece) < HeaderSize {
		return nil, HeaderSize, nil
	}
	b = Batch(piece)
	if why := b.headerFault(); why != "" {
		return nil, 0, s.corrupt(at, why)
	}
	if b.Size() > size-at {
		return nil, 0, s.corrupt(at, "it ends within a batch")
	}
	if b.Size() > int64(len(piece)) {
		return nil, b.Size(), nil
	}
	b = b[:b.Size():b.Size()]
	if b.Checksum() != b.CRC() {
		return nil, 0, s.corrupt(at, "its checksum is wrong")
	}
	return b, 0, nil
}

// located says of a fault where it is.
func (s *segment) located(err error, at int64) error {
	if why, ok := errors.AsType[batchFault](err); ok {
		return s.corrupt(at, string(why))
	}
	return err
}
