package partition

import (
	"cmp"
	"slices"
)

// choose looks for the recovery point: the newest snapshot that proves something
// about the log of these segments.
func (r *recovery) choose(bases []int64) error {
	l := r.log
	for _, at := range slices.Backward(l.snapshots) {
		if len(bases) > 0 && at < bases[0] {
			break // what came between it and the log is not known
		}
		s, ok, err := l.readSnapshot(at)
		switch {
		case err != nil:
			return err
		case ok && s.proof:
			r.point, r.proof, r.epochs = at, s, s.epochs
			l.producers.byID = s.producers
			r.proof.seals = slices.DeleteFunc(s.seals, func(x seal) bool { return len(bases) > 0 && x.base < bases[0] })
			return nil
		case ok && r.kafka == nil:
			r.kafka, r.kafkaAt = s.producers, at
		}
	}
	return nil
}

// trust looks whether a segment is what the snapshot says. It returns the position
// up to which its batches need not be read: 0 if all must be, because the snapshot
// does not know them or an index is to be made anew. Then known is what they must
// add up to, if the snapshot does.
func (r *recovery) trust(s *segment) (from int64, known []milestone, err error) {
	i, found := slices.BinarySearchFunc(r.proof.seals, s.base, compareSeal)
	if !found {
		return 0, nil, r.forgetIndexes(s)
	}
	if i > r.sealed {
		return 0, nil, r.disproved(r.proof.seals[r.sealed]) // its segment is missing
	}
	from, err = r.compare(s, r.proof.seals[i], i+1 == len(r.proof.seals))
	if err == nil && from == 0 {
		known = []milestone{r.proof.seals[i].end()}
		err = r.forgetIndexes(s)
	}
	return from, known, err
}

// compare looks whether a segment is what its seal says. It returns 0 if all of it has to
// be read.
func (r *recovery) compare(s *segment, known seal, last bool) (from int64, err error) {
	size := s.size.Load()
	if size < known.size || size > known.size && !last {
		return 0, r.disproved(known)
	}
	r.sealed++
	nearest, behind := s.milestones.floor(known.size)
	if nearest != known.end() && (nearest.at() == known.size || len(behind) > 0) {
		return 0, r.disproved(known)
	}
	if ok, err := s.loadIndexes(known); !ok || err != nil || nearest != known.end() {
		return 0, err
	}
	next, fits, err := r.fits(s, known)
	if err != nil {
		return 0, err
	}
	if !fits || last && (next > r.point || next < r.point && !r.gaps) {
		return 0, r.disproved(known)
	}
	if r.next = next; last {
		r.next = r.point // behind the last batch, offsets may be missing too
	}
	s.sealed = &known
	s.milestones.sum = known.headers
	return known.size, nil
}

// disproved notes the first segment that is not what the snapshot says. In a log with gaps
// no missing offset tells that a segment is shorter than it was, or gone.
func (r *recovery) disproved(known seal) error {
	if r.gaps {
		r.hole = known.base
	}
	return errDisproved
}

func compareSeal(x seal, base int64) int { return cmp.Compare(x.base, base) }

// forgetIndexes empties the indexes of a segment that is about to be read whole.
func (r *recovery) forgetIndexes(s *segment) error {
	_, err := s.loadIndexes(seal{})
	return err
}

// fits checks what can be checked at little cost: the first batch, and those that
// no index entry leads behind. They must end where the snapshot says; next is the
// offset behind them.
func (r *recovery) fits(s *segment, known seal) (next int64, ok bool, err error) {
	r.stream.begin(s)
	first, err := r.stream.window(0, HeaderSize, min(HeaderSize, known.size))
	if err != nil || !r.mayBeAt(Batch(first), known.size, s.base) {
		return 0, false, err
	}
	s.seen.first = Batch(first).MaxTimestamp()
	at, next := int64(0), s.base
	if list := s.index.load(); len(list) > 0 {
		e := list[len(list)-1]
		at, next = int64(e.position), noOffset
	}
	behind := int(known.size - at)
	r.stream.begin(s)
	for at < known.size {
		head, err := r.stream.window(at, HeaderSize, known.size)
		if err != nil || len(head) < HeaderSize || !r.mayBeAt(Batch(head), known.size-at, next) {
			return 0, false, err
		}
		h := Batch(head)
		size, end := h.Size(), h.NextOffset()
		if next == noOffset && !s.index.leadsTo(end-1-s.base) {
			return 0, false, nil
		}
		if ok, err := r.stream.sound(at, size, known.size); !ok || err != nil {
			return 0, false, err
		}
		at, next = at+size, end
	}
	if at != known.size {
		return 0, false, nil
	}
	s.index.since = behind
	s.times.newest.Store(known.newest)
	s.times.newestAt = known.newestAt
	return next, true, nil
}

// noOffset stands for an offset that is not known.
const noOffset = -1

// mayBeAt reports whether a batch below the recovery point can be at an offset,
// as far as its header tells.
func (r *recovery) mayBeAt(h Batch, room, offset int64) bool {
	if len(h) < HeaderSize || h.headerFault() != "" || h.Size() > room {
		return false
	}
	fits := offset == noOffset || h.BaseOffset() == offset || h.BaseOffset() > offset && r.gaps
	return fits && h.BaseOffset() < r.point && r.contradicts(h) == ""
}
