package partition

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/vfs"
)

// indexEntrySize is what an entry takes in the file.
const indexEntrySize = 8

// An indexEntry says at which position of a segment's file the batch begins whose
// last offset is this one. The offset counts from the segment's base.
type indexEntry struct{ offset, position int32 }

// An index finds the way into a segment: one entry for about every
// index.interval.bytes. It is kept in memory, and its file holds the same, written
// now and then: what a crash leaves out of it, recovery puts back. One writer
// appends, and anybody may look up.
type index struct {
	file vfs.File

	// A reader loads entries first and n second, a writer that grows or shortens
	// the list stores them so that the n that goes with the old list never reaches
	// into what the writer changes. See truncate.
	entries atomic.Pointer[[]indexEntry]
	n       atomic.Int64

	since   int   // bytes appended since the last entry; the writer's
	flushed int64 // entries that are in the file; the writer's
}

func (x *index) load() []indexEntry {
	list := x.entries.Load()
	n := x.n.Load()
	if list == nil {
		return nil
	}
	return (*list)[:min(n, int64(len(*list)))]
}

// note takes account of a batch appended at position. An entry is due when more
// than interval bytes have gone by since the last one.
func (x *index) note(offset, position int64, size, interval int) {
	if x.since > interval && offset <= math.MaxInt32 && position <= math.MaxInt32 {
		x.add(indexEntry{int32(offset), int32(position)})
		x.since = 0
	}
	x.since += size
}

func (x *index) add(e indexEntry) {
	n := x.n.Load()
	list := x.entries.Load()
	if list == nil || n == int64(len(*list)) {
		bigger := make([]indexEntry, max(16, 2*n))
		if list != nil {
			copy(bigger, *list)
		}
		list = &bigger
		x.entries.Store(list)
	}
	(*list)[n] = e
	x.n.Store(n + 1)
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

// truncate forgets the entries at or behind position. Readers that still hold the
// old list keep it; nobody writes to that one again. A flush must follow, so that
// the file forgets them too.
func (x *index) truncate(position int64) {
	list := x.load()
	keep, _ := slices.BinarySearchFunc(list, position, comparePosition)
	kept := slices.Clone(list[:keep])
	x.n.Store(int64(keep))
	x.entries.Store(&kept)
	x.since = 0
}

// flush brings the file up to the list.
func (x *index) flush() error {
	list := x.load()
	if x.flushed > int64(len(list)) {
		if err := x.file.Truncate(int64(len(list)) * indexEntrySize); err != nil {
			return err
		}
		x.flushed = int64(len(list))
	}
	if x.flushed == int64(len(list)) {
		return nil
	}
	b := make([]byte, 0, (int64(len(list))-x.flushed)*indexEntrySize)
	for _, e := range list[x.flushed:] {
		b = binary.BigEndian.AppendUint32(b, uint32(e.offset))
		b = binary.BigEndian.AppendUint32(b, uint32(e.position))
	}
	if _, err := x.file.WriteAt(b, x.flushed*indexEntrySize); err != nil {
		return err
	}
	x.flushed = int64(len(list))
	return nil
}
