package partition

import (
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/vfs"
)

// A list of entries is what an index holds in memory. One writer appends, and
// anybody may look up. The file holds the same, written now and then: what a crash
// leaves out of it, recovery puts back.
type entries[E any] struct {
	file vfs.File // nil if there was no room for it yet

	// A reader loads list first and n second, a writer that grows or shortens the
	// list stores them so that the n that goes with the old list never reaches
	// into what the writer changes. See keep.
	list atomic.Pointer[[]E]
	n    atomic.Int64

	flushed int64 // entries that are in the file; the writer's
	longer  bool  // and others behind them
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
	if x.flushed > int64(n) {
		x.flushed, x.longer = int64(n), true
	}
}

// flush brings the file up to the list.
func (x *entries[E]) flush(f *format[E]) error {
	list, size := x.load(), f.size
	if x.longer {
		if err := x.file.Truncate(x.flushed * size); err != nil {
			return err
		}
		x.longer = false
	}
	if x.flushed == int64(len(list)) {
		return nil
	}
	b := make([]byte, 0, (int64(len(list))-x.flushed)*size)
	for _, e := range list[x.flushed:] {
		b = f.encode(b, e)
	}
	if _, err := x.file.WriteAt(b, x.flushed*size); err != nil {
		return err
	}
	x.flushed = int64(len(list))
	return nil
}

// create makes the file, if it is not open.
func (x *entries[E]) create(disk vfs.FS, name string) (err error) {
	if x.file == nil {
		x.file, err = disk.Create(name)
	}
	return err
}

// open opens the file, if it is there, and says how long it is.
func (x *entries[E]) open(disk vfs.FS, name string) (length int64, err error) {
	if x.file == nil {
		f, err := disk.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		x.file = f
	}
	return x.file.Size()
}

// A format is how entries lie in a file.
type format[E any] struct {
	size    int64
	encode  func([]byte, E) []byte
	decode  func([]byte) E
	before  E                      // the first entry
	follows func(before, e E) bool // whether e can be the next entry
}

// read takes the first entries from the open file, which is so long, if they have
// that sum and are in order.
func (x *entries[E]) read(length int64, known fileSum, f *format[E]) (ok bool, err error) {
	b := make([]byte, min(length, int64(known.entries)*f.size))
	if int64(len(b)) < int64(known.entries)*f.size {
		return false, nil
	}
	if len(b) > 0 {
		if n, err := x.file.ReadAt(b, 0); n < len(b) {
			return false, err
		}
	}
	if crc32.Checksum(b, castagnoli) != known.crc {
		return false, nil
	}
	list, before := make([]E, 0, known.entries), f.before
	for ; len(b) > 0; b = b[f.size:] {
		e := f.decode(b)
		if !f.follows(before, e) {
			return false, nil
		}
		list, before = append(list, e), e
	}
	x.list.Store(&list)
	x.n.Store(int64(len(list)))
	return true, nil
}

// trim cuts off what the file, which is so long, has behind the entries that were
// read from it.
func (x *entries[E]) trim(length int64, f *format[E]) error {
	x.flushed, x.longer = x.n.Load(), false
	if length == x.flushed*f.size {
		return nil
	}
	return x.file.Truncate(x.flushed * f.size)
}

// sum is that of all entries.
func (x *entries[E]) sum(f *format[E]) fileSum {
	list := x.load()
	b := make([]byte, 0, int64(len(list))*f.size)
	for _, e := range list {
		b = f.encode(b, e)
	}
	return fileSum{int32(len(list)), crc32.Checksum(b, castagnoli)}
}
