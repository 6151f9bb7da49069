package partition

import "fmt"

// walk checks the batches of a segment from a position on and takes note of them.
// It returns where the good ones end, and why the next one is not good.
func (r *recovery) walk(s *segment, from, size int64) (good int64, why string, err error) {
	interval := r.log.cfg.Load().IndexIntervalBytes
	r.stream.begin(s)
	for good = from; good < size; {
		head, err := r.stream.window(good, HeaderSize, size)
		if err != nil {
			return good, "", err
		}
		if len(head) < HeaderSize {
			return good, "it ends within the header of a batch", nil
		}
		if why := r.refuses(Batch(head), size-good); why != "" {
			return good, why, nil
		}
		h := Batch(r.header[:copy(r.header[:], head)]) // the window may move
		ok, err := r.stream.sound(good, h.Size(), size)
		if err != nil {
			return good, "", err
		}
		if !ok {
			return good, "its checksum is wrong", nil
		}
		r.took(s, h, good, interval)
		good += h.Size()
	}
	return good, "", nil
}

// took takes note of a batch. What lies below the recovery point is in the epochs
// and the producers already.
func (r *recovery) took(s *segment, h Batch, position int64, interval int) {
	s.note(h, position, interval)
	if h.BaseOffset() >= r.point {
		r.log.producers.record(h)
		r.epochs = r.epochs.assign(h.LeaderEpoch(), h.BaseOffset())
	}
	r.next = h.NextOffset()
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
	case h.BaseOffset() < r.next, h.BaseOffset() > r.next && !r.gaps:
		return fmt.Sprintf("offset %d follows offset %d", h.BaseOffset(), r.next-1)
	case h.BaseOffset() < r.point:
		return r.contradicts(h)
	case h.LeaderEpoch() < r.epochs.latest():
		return fmt.Sprintf("epoch %d follows epoch %d", h.LeaderEpoch(), r.epochs.latest())
	}
	return ""
}

// contradicts says why a batch below the recovery point is not the one that the
// snapshot knows. No two batches of one epoch have the same offset, so one that is
// right vouches for those before it.
func (r *recovery) contradicts(h Batch) string {
	if h.NextOffset() > r.point {
		return fmt.Sprintf("it reaches over offset %d, where the log once ended", r.point)
	}
	return r.proof.epochs.contradict(h)
}
