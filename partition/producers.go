package partition

import (
	"math"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// remembered is how many batches of a producer a log knows by heart. An
// idempotent client has no more than that many in flight.
const remembered = 5

// sweepEvery is how often producers that have been silent too long are looked for.
const sweepEvery = 10 * time.Minute

// producers is what a log knows of the idempotent producers that wrote to it
// (KIP-98): enough to recognise a batch that is sent again and one that is
// missing. It is a function of the batches in the log, so followers and a
// restarted broker know the same. It is pure; the owner serialises.
type producers struct {
	byID  map[int64]*producer
	swept time.Time
}

type producer struct {
	epoch int16
	last  int64 // newest timestamp, in ms: what its expiry is counted from
	n     int   // batches recorded in this epoch
	ring  [remembered]sent
}

// sent is one batch of a producer.
type sent struct {
	first, last           int32 // sequence numbers
	baseOffset, endOffset int64 // endOffset is the last record's
	stamp                 int64 // the leader's timestamp, or -1
}

// newest returns the batch recorded last.
func (p *producer) newest() *sent { return &p.ring[(p.n-1)%remembered] }

// check says whether a client's batch may be appended: duplicate is the batch
// that it repeats, if any. b belongs to no idempotent producer if it has no id.
func (s *producers) check(b Batch) (duplicate *sent, err error) {
	p := s.byID[b.ProducerID()]
	if b.ProducerID() < 0 || p == nil {
		return nil, nil // whatever it knew of an unknown one may have expired
	}
	switch epoch := b.ProducerEpoch(); {
	case epoch < p.epoch:
		return nil, metadata.ErrInvalidProducerEpoch
	case epoch > p.epoch:
		if b.BaseSequence() != 0 {
			return nil, metadata.ErrOutOfOrderSequenceNumber
		}
		return nil, nil
	}
	for i := range min(p.n, remembered) {
		if x := &p.ring[i]; x.first == b.BaseSequence() && x.last == b.LastSequence() {
			return x, nil
		}
	}
	next := int32(0)
	if p.n > 0 {
		next = addSequence(p.newest().last, 1)
	}
	if b.BaseSequence() != next {
		return nil, metadata.ErrOutOfOrderSequenceNumber
	}
	return nil, nil
}

// record takes note of a batch that is in the log now.
func (s *producers) record(b Batch) {
	id, epoch := b.ProducerID(), b.ProducerEpoch()
	if id < 0 || epoch < 0 {
		return
	}
	p := s.byID[id]
	if p == nil {
		if s.byID == nil {
			s.byID = map[int64]*producer{}
		}
		p = &producer{epoch: epoch, last: math.MinInt64}
		s.byID[id] = p
	}
	if p.epoch != epoch {
		*p = producer{epoch: epoch, last: p.last}
	}
	p.last = max(p.last, b.MaxTimestamp())
	if b.Control() || b.BaseSequence() < 0 {
		return // it has no place in the sequence
	}
	x := sent{b.BaseSequence(), b.LastSequence(), b.BaseOffset(), b.LastOffset(), -1}
	if b.LogAppendTime() {
		x.stamp = b.MaxTimestamp()
	}
	p.add(x)
}

// add makes x the newest batch.
func (p *producer) add(x sent) {
	p.ring[p.n%remembered] = x
	p.n++
}

// reaching returns the producers that may have written at or above offset: what a
// truncation to there leaves of them is to be learned again. The others are as
// they were.
func (s *producers) reaching(offset int64) (ids []int64) {
	for id, p := range s.byID {
		if p.n == 0 || p.newest().endOffset >= offset {
			ids = append(ids, id)
		}
	}
	return ids
}

// relearn replaces what is known of some producers by what `from` knows.
func (s *producers) relearn(ids []int64, from producers) {
	for _, id := range ids {
		delete(s.byID, id)
		if p := from.byID[id]; p != nil {
			s.byID[id] = p
		}
	}
}

// adopt takes in the producers that are not known. They wrote what the log no
// longer has.
func (s *producers) adopt(from map[int64]*producer) {
	for id, p := range from {
		if s.byID[id] != nil {
			continue
		}
		if s.byID == nil {
			s.byID = map[int64]*producer{}
		}
		s.byID[id] = p
	}
}

// sweep forgets producers that were silent for longer than expiration, now and
// then. Kafka goes by the records' timestamps, and so does this.
func (s *producers) sweep(now time.Time, expiration time.Duration) {
	if now.Sub(s.swept) >= min(sweepEvery, expiration) {
		s.expire(now, expiration)
	}
}

// expire forgets them now.
func (s *producers) expire(now time.Time, expiration time.Duration) {
	s.swept = now
	deadline := now.UnixMilli() - expiration.Milliseconds()
	for id, p := range s.byID {
		if p.last <= deadline {
			delete(s.byID, id)
		}
	}
}

// lastBatches returns the last offsets of batches that must stay for their
// producers' sake: each one's newest batch, and its newest one below committed, which
// is the newest if what is not committed gets lost.
func (s *producers) lastBatches(committed int64) map[int64]bool {
	stay := make(map[int64]bool, len(s.byID))
	for _, p := range s.byID {
		for i := p.n - 1; i >= max(0, p.n-remembered); i-- {
			end := p.ring[i%remembered].endOffset
			if i == p.n-1 || end < committed {
				stay[end] = true
			}
			if end < committed {
				break
			}
		}
	}
	return stay
}
