package partition

import (
	"cmp"
	"slices"

	"github.com/brokersim/brokersim/internal/codec"
)

// A TimedOffset is a record that was looked for by its timestamp.
type TimedOffset struct {
	Offset      int64
	Timestamp   int64 // ms
	LeaderEpoch int32
}

// NoTimedOffset is the answer if there is no such record.
var NoTimedOffset = TimedOffset{-1, -1, -1}

// OffsetForTime returns the first record at or above the log start whose timestamp
// is not below ms, NoTimedOffset if there is none. Timestamps may go up and down
// along a log; "first" is by offset. It fails with a CorruptError if what it has to
// read is damaged, and with ErrStorage if the disk does.
func (l *Log) OffsetForTime(ms int64) (TimedOffset, error) {
	return l.stable(func() (TimedOffset, error) { return l.firstSince(ms) })
}

// OffsetOfMaxTime returns the first of the records with the largest timestamp
// (KIP-734), from the log start up to limit, which is exclusive; NoTimedOffset if
// no record there has a timestamp. Errors as for OffsetForTime.
func (l *Log) OffsetOfMaxTime(limit int64) (TimedOffset, error) {
	return l.stable(func() (TimedOffset, error) {
		newest, err := l.newestBelow(limit)
		if newest < 0 || err != nil {
			return NoTimedOffset, err
		}
		return l.firstSince(newest)
	})
}

// stable looks something up in the log, again if part of it was cut off meanwhile.
func (l *Log) stable(look func() (TimedOffset, error)) (TimedOffset, error) {
	for {
		cuts := l.cuts.Load()
		found, err := look()
		if l.cuts.Load() != cuts {
			continue
		}
		if err != nil {
			return NoTimedOffset, l.readError(err)
		}
		return found, nil
	}
}

func (l *Log) firstSince(ms int64) (TimedOffset, error) {
	start, end := l.start.Load(), l.end.Load()
	for _, s := range l.segmentsFrom(start) {
		if s.times.newest.Load() < ms && ms >= 0 {
			continue
		}
		if found, err := s.firstSince(ms, start, end); err != nil || found.Offset >= 0 {
			return found, err
		}
	}
	return NoTimedOffset, nil
}

// newestBelow returns the largest timestamp from the log start to limit.
func (l *Log) newestBelow(limit int64) (int64, error) {
	start, newest := l.start.Load(), int64(noTimestamp)
	limit = min(limit, l.end.Load())
	segments := l.segmentsFrom(start)
	for i, s := range segments {
		if s.base >= limit {
			break
		}
		if s.times.newest.Load() <= newest {
			continue
		}
		if s.base >= start && i+1 < len(segments) && segments[i+1].base <= limit {
			newest = s.times.newest.Load()
			continue
		}
		in, err := s.newestWithin(start, limit)
		if err != nil {
			return 0, err
		}
		newest = max(newest, in)
	}
	return newest, nil
}

// segmentsFrom returns the segments that hold what lies at or above offset.
func (l *Log) segmentsFrom(offset int64) []*segment {
	segments := *l.segments.Load()
	i, found := slices.BinarySearchFunc(segments, offset, compareBase)
	if !found && i > 0 {
		i--
	}
	return segments[i:]
}

// newestWithin returns the largest timestamp of the segment's batches from start
// to limit.
func (s *segment) newestWithin(start, limit int64) (int64, error) {
	if s.base >= start {
		newest, err := s.newestBefore(limit)
		return newest.timestamp, err
	}
	newest := int64(noTimestamp)
	sc, err := s.scanFrom(start, make([]byte, locateWindow))
	for err == nil && sc.more() {
		var b Batch
		if b, err = sc.next(); err != nil || b.LastOffset() >= limit {
			break
		}
		in := b.newest()
		if b.BaseOffset() < start {
			in, err = s.newestRecordSince(sc.pos, b.Size(), start)
		}
		newest = max(newest, in)
		err = cmp.Or(err, sc.pass(b))
	}
	return newest, cmp.Or(err, sc.settle())
}

// newestRecordSince returns the largest timestamp in the batch at a position that
// the log start has cut in two.
func (s *segment) newestRecordSince(at, size, start int64) (int64, error) {
	newest := int64(noTimestamp)
	err := s.records(at, size, new(codec.Decoder), func(r TimedOffset) bool {
		if r.Offset >= start {
			newest = max(newest, r.Timestamp)
		}
		return true
	})
	return newest, err
}

// firstSince looks in one segment for the first record from start to end that is
// not older than ms.
func (s *segment) firstSince(ms, start, end int64) (TimedOffset, error) {
	sc, err := s.scanFrom(max(start, s.base+s.times.floor(ms)), make([]byte, locateWindow))
	if err != nil {
		return NoTimedOffset, err
	}
	var unpack codec.Decoder
	for sc.more() {
		b, err := sc.next()
		if err != nil {
			return NoTimedOffset, err
		}
		if b.BaseOffset() >= end {
			break
		}
		if b.MaxTimestamp() >= ms {
			if found, err := s.recordSince(sc.pos, b.Size(), ms, start, &unpack); err != nil || found.Offset >= 0 {
				return found, cmp.Or(err, sc.settle())
			}
		}
		if err := sc.pass(b); err != nil {
			return NoTimedOffset, err
		}
	}
	return NoTimedOffset, sc.settle()
}

// recordSince looks in the batch at a position for the first record at or above
// start that is not older than ms.
func (s *segment) recordSince(at, size, ms, start int64, unpack *codec.Decoder) (TimedOffset, error) {
	found := NoTimedOffset
	err := s.records(at, size, unpack, func(r TimedOffset) bool {
		if r.Timestamp < ms || r.Offset < start {
			return true
		}
		found = r
		return false
	})
	return found, err
}

// records yields the records of the batch at a position.
func (s *segment) records(at, size int64, unpack *codec.Decoder, yield func(TimedOffset) bool) error {
	buf, err := appendFrom(nil, s, at, size)
	if err != nil {
		return err
	}
	b := Batch(buf)
	if b.Checksum() != b.CRC() {
		return s.corrupt(at, "its checksum is wrong")
	}
	records, err := unpack.Decompress(b.Codec(), b.Records())
	if err != nil {
		return s.corrupt(at, "its records cannot be unpacked: "+err.Error())
	}
	for range b.Count() {
		timestamp, offset, rest, ok := nextRecord(records)
		if !ok {
			return s.corrupt(at, "a record does not fit its batch")
		}
		r := TimedOffset{b.BaseOffset() + offset, addMillis(b.BaseTimestamp(), timestamp), b.LeaderEpoch()}
		if b.LogAppendTime() {
			r.Timestamp = b.MaxTimestamp()
		}
		if !yield(r) {
			return nil
		}
		records = rest
	}
	return nil
}

// nextRecord reads where and when the first record of b is, counted from its batch.
func nextRecord(b []byte) (timestamp, offset int64, rest []byte, ok bool) {
	size, n := varint(b)
	if n == 0 || size < 1 || size > int64(len(b)-n) {
		return 0, 0, nil, false
	}
	record, rest := b[n+1:n+int(size)], b[n+int(size):] // its attributes are unused
	timestamp, n1 := varint(record)
	if n1 == 0 {
		return 0, 0, nil, false
	}
	offset, n2 := varint(record[n1:])
	return timestamp, offset, rest, n2 > 0
}
