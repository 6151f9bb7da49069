package partition

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// indexEntrySize is what an entry takes in the file.
const indexEntrySize = 8

// An indexEntry says at which position of a segment's file the batch begins whose
// last offset is this one. The offset counts from the segment's base.
type indexEntry struct{ offset, position int32 }

// An index finds the way into a segment: one entry for about every
// index.interval.bytes.
type index struct {
	entries[indexEntry]
	since int // bytes appended since the last entry; the writer's
}

// note takes account of a batch appended at position. An entry is due when more
// than interval bytes have gone by since the last one; added tells that it was.
func (x *index) note(offset, position int64, size, interval int) (added bool) {
	if x.since > interval && offset <= math.MaxInt32 && position <= math.MaxInt32 {
		x.add(indexEntry{int32(offset), int32(position)})
		x.since, added = 0, true
	}
	x.since += size
	return added
}

// floor returns where to begin looking for the batch that holds offset.
func (x *index) floor(offset int64) (position int64) {
	list := x.load()
	i, found := slices.BinarySearchFunc(list, offset, compareOffset)
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return int64(list[i].position)
}

// ceiling returns the position of a batch that ends at or above offset, so that
// nothing that ends below lies behind it; ok is false if the index knows none.
func (x *index) ceiling(offset int64) (position int64, ok bool) {
	list := x.load()
	i, _ := slices.BinarySearchFunc(list, offset, compareOffset)
	if i == len(list) {
		return 0, false
	}
	return int64(list[i].position), true
}

func compareOffset(e indexEntry, offset int64) int { return cmp.Compare(int64(e.offset), offset) }

func comparePosition(e indexEntry, position int64) int {
	return cmp.Compare(int64(e.position), position)
}

// truncate forgets the entries at or behind position. A flush must follow.
func (x *index) truncate(position int64) {
	keep, _ := slices.BinarySearchFunc(x.load(), position, comparePosition)
	x.keep(keep)
	x.since = 0
}

func (x *index) flush() error { return x.entries.flush(&indexFormat) }

func (x *index) sum() fileSum { return x.entries.sum(&indexFormat) }

// leadsTo reports whether the last entry is for a batch that ends at offset, from
// the segment's base.
func (x *index) leadsTo(offset int64) bool {
	list := x.load()
	return int64(list[len(list)-1].offset) == offset
}

var indexFormat = format[indexEntry]{
	size: indexEntrySize,
	encode: func(b []byte, e indexEntry) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(e.offset))
		return binary.BigEndian.AppendUint32(b, uint32(e.position))
	},
	decode: func(b []byte) indexEntry {
		return indexEntry{int32(binary.BigEndian.Uint32(b)), int32(binary.BigEndian.Uint32(b[4:]))}
	},
	follows: func(before, e indexEntry) bool { return e.offset > before.offset && e.position > before.position },
}
