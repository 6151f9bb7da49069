package partition

import (
	"slices"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/vfs"
)

// A list of entries is what an index holds in memory. One writer appends, and
// anybody may look up. The file holds the same, written now and then: what a crash
// leaves out of it, recovery puts back.
type entries[E any] struct {
	file vfs.File

	// A reader loads list first and n second, a writer that grows or shortens the
	// list stores them so that the n that goes with the old list never reaches
	// into what the writer changes. See keep.
	list atomic.Pointer[[]E]
	n    atomic.Int64

	flushed int64 // entries that are in the file; the writer's
}

func (x *entries[E]) load() []E {
	list := x.list.Load()
	n := x.n.Load()
	if list == nil {
		return nil
	}
	return (*list)[:min(n, int64(len(*list)))]
}

func (x *entries[E]) add(e E) {
	n := x.n.Load()
	list := x.list.Load()
	if list == nil || n == int64(len(*list)) {
		bigger := make([]E, max(16, 2*n))
		if list != nil {
			copy(bigger, *list)
		}
		list = &bigger
		x.list.Store(list)
	}
	(*list)[n] = e
	x.n.Store(n + 1)
}

// keep forgets all but the first n entries. Readers that still hold the old list
// keep it; nobody writes to that one again. A flush must follow, so that the file
// forgets them too.
func (x *entries[E]) keep(n int) {
	kept := slices.Clone(x.load()[:n])
	x.n.Store(int64(n))
	x.list.Store(&kept)
}

// flush brings the file up to the list. Each entry takes size bytes there, as
// encode appends them.
func (x *entries[E]) flush(size int64, encode func([]byte, E) []byte) error {
	list := x.load()
	if x.flushed > int64(len(list)) {
		if err := x.file.Truncate(int64(len(list)) * size); err != nil {
			return err
		}
		x.flushed = int64(len(list))
	}
	if x.flushed == int64(len(list)) {
		return nil
	}
	b := make([]byte, 0, (int64(len(list))-x.flushed)*size)
	for _, e := range list[x.flushed:] {
		b = encode(b, e)
	}
	if _, err := x.file.WriteAt(b, x.flushed*size); err != nil {
		return err
	}
	x.flushed = int64(len(list))
	return nil
}
