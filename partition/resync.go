package partition

import "bytes"

// validBehind reports whether a valid batch lies behind the end of the good ones,
// in the same segment or in one that follows. If so, what is there is no torn end
// of the log but damage in its middle. (After a power loss the two can look alike:
// a file's later sectors may have reached the disk and its earlier ones not. Then
// damage is the answer too, and it costs nothing: such a replica is behind anyway.)
func (r *recovery) validBehind(s *segment, good, size int64, following []int64) (bool, error) {
	if ok, err := r.hunt(s, good, size); ok || err != nil {
		return ok, err
	}
	for _, base := range following {
		s, err := openSegment(r.log.fs, r.log.dir, base)
		if err != nil {
			return false, err
		}
		ok, err := r.hunt(s, 0, s.size.Load())
		s.close()
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// hunt looks for a valid batch at any position from `from` on, since a damaged
// length says nothing about where the next one begins. The work is bounded: bytes
// that look like batches again and again, and are none, count as one.
func (r *recovery) hunt(s *segment, from, size int64) (bool, error) {
	r.stream.begin(s)
	budget := 4*(size-from) + 1<<20
	window := make([]byte, 64<<10)
	for at := from; size-at >= HeaderSize; {
		chunk := window[:min(int64(len(window)), size-at)]
		if err := s.readFull(chunk, at); err != nil {
			return false, err
		}
		last := len(chunk) - HeaderSize // the last position that has a whole header
		for i := 0; i <= last; i++ {
			skip := bytes.IndexByte(chunk[i+atMagic:last+atMagic+1], 2)
			if skip < 0 {
				break
			}
			i += skip
			h, position := Batch(chunk[i:]), at+int64(i)
			if !r.plausible(h, size-position) {
				continue
			}
			if budget -= h.Size(); budget < 0 {
				return true, nil
			}
			ok, err := r.stream.sound(position, h.Size(), position+h.Size())
			if ok || err != nil {
				return ok, err
			}
		}
		at += int64(last) + 1
	}
	return false, nil
}

// plausible reports whether a header is worth the work of computing a checksum.
func (r *recovery) plausible(h Batch, room int64) bool {
	return h.headerFault() == "" && h.Size() <= room && (r.gaps || h.LastOffsetDelta()+1 == h.Count())
}
