package partition

import (
	"cmp"
	"fmt"
)

// walk checks the batches of a segment from a position on and takes note of them.
// It returns where the good ones end, and why the next one is not good. The milestones
// that the segment has are compared, and known ones behind them.
func (r *recovery) walk(s *segment, from, size int64, known []milestone) (good int64, why string, err error) {
	interval := r.log.cfg.Load().IndexIntervalBytes
	t := r.follow(s, from, known)
	r.stream.begin(s)
	for good = from; good < size; {
		h, why, err := r.good(s, good, size)
		if err == nil && why == "" {
			why = t.news(h, good)
		}
		if err != nil || why != "" {
			return good, why, cmp.Or(err, t.ended(size))
		}
		r.took(s, h, good, interval)
		good += h.Size()
		if err := t.arrived(good); err != nil {
			return good, "", err
		}
	}
	return good, "", t.ended(size)
}

// good returns the header of the batch at a position, or why it is not good.
func (r *recovery) good(s *segment, at, size int64) (h Batch, why string, err error) {
	if r.rotten.why != "" && r.rotten.base == s.base && r.rotten.at == at {
		return nil, r.rotten.why, nil
	}
	head, err := r.stream.window(at, HeaderSize, size)
	if err != nil {
		return nil, "", err
	}
	if len(head) < HeaderSize {
		return nil, "it ends within the header of a batch", nil
	}
	if why := r.refuses(Batch(head), size-at); why != "" {
		return nil, why, nil
	}
	h = Batch(r.header[:copy(r.header[:], head)]) // the window may move
	ok, err := r.stream.sound(at, h.Size(), size)
	if err == nil && !ok {
		why = "its checksum is wrong"
	}
	return h, why, err
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
