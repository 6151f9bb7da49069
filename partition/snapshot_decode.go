package partition

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// decodeSnapshot reads the snapshot of a log at an offset. ok is false if it is
// torn, damaged, of an unknown version, or tells of what cannot be there. Without
// our part, or with one of a version that is not known, it is no proof.
func decodeSnapshot(b []byte, at int64) (s snapshot, ok bool) {
	r := fields{b: b}
	version, sum := r.int16(), uint32(r.int32())
	if r.short || version != snapshotVersion || sum != crc32.Checksum(r.b, castagnoli) {
		return snapshot{}, false
	}
	ids, ok := s.readProducers(&r, at)
	if !ok {
		return snapshot{}, false
	}
	if len(r.b) == 0 || r.int16() != proofVersion {
		return s, !r.short
	}
	s.proof = true
	for _, id := range ids {
		if !s.producers[id].readRemembered(&r) {
			return snapshot{}, false
		}
	}
	ok = s.readEpochs(&r, at) && s.readSeals(&r, at) && !r.short && len(r.b) == 0
	return s, ok
}

// readProducers reads Kafka's entries, and returns the ids in their order.
func (s *snapshot) readProducers(r *fields, at int64) (ids []int64, ok bool) {
	n := int(r.int32())
	if n < 0 || n > len(r.b)/snapshotEntrySize {
		return nil, false
	}
	s.producers = make(map[int64]*producer, n)
	for range n {
		id, p := r.int64(), &producer{epoch: r.int16()}
		newest, ok := readSent(r)
		p.last = r.int64()
		r.int32()
		r.int64() // there are no transactions
		if !ok || id < 0 || p.epoch < 0 || newest.endOffset >= at || s.producers[id] != nil {
			return nil, false
		}
		if newest.endOffset >= 0 {
			p.add(newest)
		}
		s.producers[id] = p
		ids = append(ids, id)
	}
	return ids, true
}

// readSent reads a batch of a producer; its endOffset is -1 if there is none.
func readSent(r *fields) (x sent, ok bool) {
	x = sent{last: r.int32(), endOffset: r.int64(), stamp: -1}
	delta := r.int32()
	x.baseOffset = x.endOffset - int64(delta)
	x.first = subtractSequence(x.last, delta)
	return x, x.endOffset == -1 || x.last >= 0 && delta >= 0 && x.baseOffset >= 0
}

// readRemembered replaces what Kafka's entry says of the newest batch, and must
// agree with it.
func (p *producer) readRemembered(r *fields) (ok bool) {
	newest, n := *p, int(r.int8())
	if n < 0 || n > remembered || (n == 0) != (newest.n == 0) {
		return false
	}
	p.n = 0
	for range n {
		x, ok := readSent(r)
		x.stamp = r.int64()
		if !ok || x.endOffset < 0 || p.n > 0 && x.baseOffset <= p.newest().endOffset {
			return false
		}
		p.add(x)
	}
	return n == 0 || p.newest().last == newest.newest().last && p.newest().endOffset == newest.newest().endOffset
}

func (s *snapshot) readEpochs(r *fields, at int64) (ok bool) {
	n := int(r.int32())
	if n < 0 || n > len(r.b)/epochStartSize {
		return false
	}
	for range n {
		e := EpochStart{r.int32(), r.int64()}
		if e.Epoch < 0 || e.Offset < 0 || e.Offset > at {
			return false
		}
		if i := len(s.epochs); i > 0 && (e.Epoch <= s.epochs[i-1].Epoch || e.Offset <= s.epochs[i-1].Offset) {
			return false
		}
		s.epochs = append(s.epochs, e)
	}
	return true
}

func (s *snapshot) readSeals(r *fields, at int64) (ok bool) {
	n := int(r.int32())
	if n < 0 || n > len(r.b)/sealSize {
		return false
	}
	for i := range n {
		x := seal{base: r.int64(), size: r.int64()}
		x.index, x.times = fileSum{r.int32(), uint32(r.int32())}, fileSum{r.int32(), uint32(r.int32())}
		x.newest, x.newestAt, x.headers = r.int64(), r.int64(), uint32(r.int32())
		if x.base < 0 || x.base >= at || i > 0 && x.base <= s.seals[i-1].base || x.size <= 0 || x.size > math.MaxUint32 ||
			x.index.entries < 0 || x.times.entries < 0 || x.newestAt < 0 || x.newestAt > math.MaxInt32+1 {
			return false
		}
		s.seals = append(s.seals, x)
	}
	return true
}

// fields takes numbers off the front of b. After the end they are 0 and short is true.
type fields struct {
	b     []byte
	short bool
}

func (r *fields) take(n int) []byte {
	if len(r.b) < n {
		r.b, r.short = nil, true
		return make([]byte, n)
	}
	front := r.b[:n]
	r.b = r.b[n:]
	return front
}

func (r *fields) int8() int8   { return int8(r.take(1)[0]) }
func (r *fields) int16() int16 { return int16(binary.BigEndian.Uint16(r.take(2))) }
func (r *fields) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *fields) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }
