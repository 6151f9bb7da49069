package partition

import (
	"math"

	"github.com/brokersim/brokersim/internal/codec"
)

// A filter decides what compaction leaves of a log, batch by batch, from the first on.
//
// A record stays if it lies beyond what is mapped, or has a key and is the last with
// it. One that is a tombstone, whose value is null, stays until the delete horizon of
// its batch: the first compaction that leaves no older value below it sets that to
// delete.retention.ms from now, and a later one drops it (KIP-534). Until then
// whoever reads from the start on learns of the deletion.
//
// A batch without records is dropped but for three, which stay as a header: the last
// one of a producer, so that its sequence goes on; the first one of a leader epoch,
// so that every replica knows where it began; and the last one of a segment, which
// says to followers and to recovery how far it goes.
//
// Of transactions nothing is known: which were aborted is written elsewhere. So the
// records of a transaction make no other obsolete, its tombstones never go by
// themselves, and control batches stay.
type filter struct {
	keys    *keyMap
	mapped  int64          // offsets below are in the map, unless they were compacted before
	now     int64          // ms
	horizon int64          // what a delete horizon is set to, in ms
	stay    map[int64]bool // last offsets of the batches that producers need
	epoch   int32          // of the batch before; -1

	unpack     codec.Decoder
	records    []byte // of the batch in the making, unpacked
	rebased    []byte // the same with other timestamps
	read, kept int64  // records so far
}

// A batchFault is what is wrong with the records of a batch.
type batchFault string

func (f batchFault) Error() string { return string(f) }

// unpacked returns the records of a batch, valid until the next call.
func (f *filter) unpacked(b Batch) ([]byte, error) {
	records, err := f.unpack.Decompress(b.Codec(), b.Records())
	if err != nil {
		return nil, batchFault("its records cannot be unpacked: " + err.Error())
	}
	return records, nil
}

// mapBatch puts the keys of a batch's records at or above from into the map. It
// returns end, or the offset of the record for which there was no room.
func (f *filter) mapBatch(b Batch, from, end int64) (mapped int64, err error) {
	if b.Control() || b.Transactional() {
		return end, nil
	}
	unpacked, err := f.unpacked(b)
	if err != nil {
		return 0, err
	}
	w := b.walk(unpacked)
	for w.next() {
		if offset := b.BaseOffset() + w.offset; w.key != nil && offset >= from && !f.keys.put(w.key, offset) {
			return offset, nil
		}
	}
	return end, w.err()
}

// clean appends to out what remains of b. last says that it is its segment's last.
func (f *filter) clean(out []byte, b Batch, last bool) ([]byte, error) {
	must := last || b.LeaderEpoch() > f.epoch || b.ProducerID() >= 0 && f.stay[b.LastOffset()]
	f.epoch = max(f.epoch, b.LeaderEpoch())
	f.read += int64(b.Count())
	if b.Control() || b.BaseOffset() >= f.mapped {
		f.kept += int64(b.Count())
		return append(out, b...), nil
	}
	s, err := f.sift(b)
	if err != nil {
		return out, err
	}
	f.kept += int64(s.count)
	switch {
	case s.count == 0 && !must:
		return out, nil
	case s.count == b.Count() && !s.horizon:
		return append(out, b...), nil
	case s.count == 0:
		return b.appendEmptied(out), nil
	}
	return f.appendSifted(out, b, s)
}

// sifted is what remains of a batch.
type sifted struct {
	records []byte // unpacked, as they were
	count   int32
	newest  int64 // largest timestamp, from the batch's base
	horizon bool  // the delete horizon is to be set
}

// sift finds the records that stay. They are copied only if one does not.
func (f *filter) sift(b Batch) (s sifted, err error) {
	if s.records, err = f.unpacked(b); err != nil {
		return s, err
	}
	s.newest = math.MinInt64
	expires := b.NextOffset() <= f.mapped && !b.Transactional() && !b.hasHorizon()
	w := b.walk(s.records)
	whole := true // so far
	for w.next() {
		if !f.stays(b, &w.record) {
			if whole {
				whole, f.records = false, append(f.records[:0], s.records[:w.at]...)
			}
			continue
		}
		s.count++
		s.newest = max(s.newest, w.timestamp)
		s.horizon = s.horizon || expires && w.tombstone
		if !whole {
			f.records = append(f.records, w.raw...)
		}
	}
	if !whole {
		s.records = f.records
	}
	return s, w.err()
}

// stays decides about one record.
func (f *filter) stays(b Batch, r *record) bool {
	offset := b.BaseOffset() + r.offset
	switch {
	case offset >= f.mapped:
		return true
	case r.key == nil:
		return false // from before the topic was compacted
	case f.keys.last(r.key) > offset:
		return false
	case r.tombstone && b.hasHorizon() && !b.Transactional():
		return f.now < b.BaseTimestamp()
	}
	return true
}

// appendSifted appends a batch with what remains of b, compressed as b was.
func (f *filter) appendSifted(out []byte, b Batch, s sifted) ([]byte, error) {
	base := b.BaseTimestamp()
	newest := addMillis(base, s.newest)
	if s.horizon {
		f.rebase(b, s, base-f.horizon)
		base, s.records = f.horizon, f.rebased
	}
	if b.LogAppendTime() {
		newest = b.MaxTimestamp()
	}
	packed := s.records
	if b.Codec() != codec.None {
		var err error
		if packed, err = codec.Compress(b.Codec(), s.records); err != nil {
			return out, batchFault("what remains of its records cannot be packed: " + err.Error())
		}
	}
	at := len(out)
	out = append(append(out, b[:HeaderSize]...), packed...)
	Batch(out[at:]).setSifted(s.count, base, newest, s.horizon)
	return out, nil
}

// rebase encodes the records anew, with timestamps that are larger by shift.
func (f *filter) rebase(b Batch, s sifted, shift int64) {
	f.rebased = f.rebased[:0]
	w := b.walk(s.records)
	w.left = s.count
	for w.next() {
		f.rebased = w.appendRebased(f.rebased, w.timestamp+shift)
	}
}
