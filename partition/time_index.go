package partition

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sync/atomic"
)

// timeEntrySize is what an entry takes in the file.
const timeEntrySize = 12

// noTimestamp is what records have that say no time, and a segment without records.
const noTimestamp = -1

// A timeEntry says that no record of the segment up to the batch that ends at this
// offset is newer than this timestamp, and that the batch has a record that is as
// new. The offset counts from the segment's base.
type timeEntry struct {
	timestamp int64 // ms
	offset    int32
}

// A timeIndex finds the first record of a segment that is as new as a timestamp:
// an entry goes in with each one of the offset index, if something newer has come
// since, and one more when the segment is rolled or the log closed. Both columns only grow.
type timeIndex struct {
	entries[timeEntry]

	newest   atomic.Int64 // the largest timestamp in the segment, noTimestamp if there is none
	newestAt int64        // last offset of the first batch that has it, from the segment's base; the writer's
}

// note takes account of a batch that ends at offset.
func (x *timeIndex) note(offset, timestamp int64) {
	if timestamp > x.newest.Load() {
		x.newest.Store(timestamp)
		x.newestAt = offset
	}
}

// mark makes an entry of what is the newest now, if that is news.
func (x *timeIndex) mark() {
	newest, list := x.newest.Load(), x.load()
	if newest < 0 || x.newestAt > math.MaxInt32 || len(list) > 0 && newest <= list[len(list)-1].timestamp {
		return
	}
	x.add(timeEntry{newest, int32(x.newestAt)})
}

// floor returns an offset, from the segment's base, below whose batch no record is
// as new as timestamp.
func (x *timeIndex) floor(timestamp int64) (offset int64) {
	list := x.load()
	i, found := slices.BinarySearchFunc(list, timestamp, func(e timeEntry, t int64) int { return cmp.Compare(e.timestamp, t) })
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return int64(list[i].offset)
}

// before returns the last entry whose batch ends below offset; the zero one, with
// no timestamp, if there is none.
func (x *timeIndex) before(offset int64) timeEntry {
	list := x.load()
	i := x.countBefore(offset)
	if i == 0 {
		return timeEntry{noTimestamp, 0}
	}
	return list[i-1]
}

func (x *timeIndex) countBefore(offset int64) int {
	i, _ := slices.BinarySearchFunc(x.load(), offset, func(e timeEntry, o int64) int { return cmp.Compare(int64(e.offset), o) })
	return i
}

// truncate forgets the batches that end at or above offset; newest is what the
// others have. A flush must follow.
func (x *timeIndex) truncate(offset int64, newest timeEntry) {
	x.keep(x.countBefore(offset))
	x.newest.Store(newest.timestamp)
	x.newestAt = int64(newest.offset)
}

func (x *timeIndex) flush() error { return x.entries.flush(&timeFormat) }

func (x *timeIndex) sum() fileSum { return x.entries.sum(&timeFormat) }

var timeFormat = format[timeEntry]{
	size: timeEntrySize,
	encode: func(b []byte, e timeEntry) []byte {
		b = binary.BigEndian.AppendUint64(b, uint64(e.timestamp))
		return binary.BigEndian.AppendUint32(b, uint32(e.offset))
	},
	decode: func(b []byte) timeEntry {
		return timeEntry{int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:]))}
	},
	before:  timeEntry{noTimestamp, -1},
	follows: func(before, e timeEntry) bool { return e.timestamp > before.timestamp && e.offset > before.offset },
}

// newestBefore returns the largest timestamp of the batches that end below offset,
// and the first of them that has it.
func (s *segment) newestBefore(offset int64) (timeEntry, error) {
	newest := s.times.before(offset - s.base)
	sc := s.scan(s.index.floor(int64(newest.offset)), make([]byte, locateWindow))
	for sc.more() {
		b, err := sc.next()
		if err != nil {
			return timeEntry{}, err
		}
		if b.LastOffset() >= offset {
			break
		}
		if b.newest() > newest.timestamp {
			newest = timeEntry{b.newest(), int32(b.LastOffset() - s.base)}
		}
		if err := sc.pass(b); err != nil {
			return timeEntry{}, err
		}
	}
	return newest, sc.settle()
}
