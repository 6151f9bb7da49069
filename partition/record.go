package partition

import "encoding/binary"

// A record is one of a batch, taken apart as far as compaction wants to know. Its
// slices are the batch's.
type record struct {
	raw       []byte // all of it, from its length on
	behind    []byte // what comes after its timestamp
	timestamp int64  // ms, from the batch's base
	offset    int64  // from the batch's base
	key       []byte // nil: it has none
	tombstone bool   // its value is null
}

// takeRecord takes the first record off b; ok is false if there is none that fits.
// It looks at no headers.
func takeRecord(b []byte) (r record, rest []byte, ok bool) {
	size, n := varint(b)
	if n == 0 || size < 1 || size > int64(len(b)-n) {
		return r, nil, false
	}
	end := n + int(size)
	r.raw, rest = b[:end], b[end:]
	body := b[n+1 : end] // behind the attributes, which are unused
	if r.timestamp, n = varint(body); n == 0 {
		return r, nil, false
	}
	r.behind = body[n:]
	if r.offset, n = varint(r.behind); n == 0 {
		return r, nil, false
	}
	key := r.behind[n:]
	size, value, ok := field(key)
	if !ok {
		return r, nil, false
	}
	if size >= 0 {
		r.key = key[len(key)-len(value)-int(size) : len(key)-len(value)]
	}
	size, _, ok = field(value)
	r.tombstone = size < 0
	return r, rest, ok
}

// appendRebased appends the record with another timestamp, counted from another base.
func (r *record) appendRebased(b []byte, timestamp int64) []byte {
	var scratch [binary.MaxVarintLen64]byte
	n := binary.PutVarint(scratch[:], timestamp)
	b = binary.AppendVarint(b, int64(1+n+len(r.behind)))
	b = append(b, 0) // attributes
	b = append(b, scratch[:n]...)
	return append(b, r.behind...)
}

// records goes through the records of a batch, one after the other:
//
//	for w := b.walk(unpacked); w.next(); {
//		use(w.record)
//	}
type records struct {
	record
	at, end int // where the record lies in what is walked through

	rest []byte
	left int32
	max  int64 // largest offset that a record may have
	why  fault // what is wrong, if the walk has ended early
}

// walk begins a walk through the unpacked records of b.
func (b Batch) walk(unpacked []byte) records {
	return records{record: record{offset: -1}, rest: unpacked, left: b.Count(), max: int64(b.LastOffsetDelta())}
}

func (w *records) next() bool {
	if w.left == 0 {
		if len(w.rest) > 0 {
			w.why = "bytes follow its last record"
		}
		return false
	}
	before := w.offset
	var ok bool
	if w.record, w.rest, ok = takeRecord(w.rest); !ok || w.offset <= before || w.offset > w.max {
		w.why = "a record does not fit its batch"
		return false
	}
	w.left--
	w.at, w.end = w.end, w.end+len(w.raw)
	return true
}

// err is what is wrong with the batch, once next has returned false.
func (w *records) err() error {
	if w.why == "" {
		return nil
	}
	return batchFault(w.why)
}
