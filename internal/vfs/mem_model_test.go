package vfs_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
)

// TestMemAgainstModel does anything to files and names, with process crashes (which
// are nothing) and power losses between, and compares a disk that loses exactly
// what was not synced with maps of strings; and beside it one that tears, whose
// synced bytes must be there all the same. Both keep spans of the same slabs, which
// must stay as they are.
func TestMemAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{now: map[string]*file{}, synced: map[string]*file{}}
		m.exact, m.torn = vfs.NewMem(0), vfs.NewMem(rapid.Uint64Range(1, 1<<40).Draw(t, "seed"))
		for _, size := range []int{700, 64 << 10, 200_000} {
			m.slabs = append(m.slabs, slab.Of(aPattern[:size]))
		}
		t.Repeat(map[string]func(*rapid.T){
			"create":    m.create,
			"write":     m.write,
			"keep":      m.keep,
			"truncate":  m.truncate,
			"sync":      m.sync,
			"rename":    m.rename,
			"remove":    m.remove,
			"syncDir":   m.syncDir,
			"powerLoss": m.powerLoss,
			"":          m.check,
		})
	})
}

type file struct{ now, synced string }

type model struct {
	exact, torn *vfs.Mem
	now, synced map[string]*file
	slabs       []*slab.Slab
	moved       bool // a file has another name than at the last SyncDir, or has had one since
}

var someNames = []string{"a", "b", "c"}

func (m *model) name(t *rapid.T) string { return rapid.SampledFrom(someNames).Draw(t, "name") }

// both does something to both disks, which must agree on whether it works.
func (m *model) both(t *rapid.T, f func(disk vfs.FS) error) bool {
	a, b := f(m.exact), f(m.torn)
	require.Equal(t, a == nil, b == nil, "%v, %v", a, b)
	return a == nil
}

func withFile(disk vfs.FS, name string, f func(vfs.File) error) error {
	h, err := disk.Open(name)
	if err != nil {
		return err
	}
	defer h.Close()
	return f(h)
}

func (m *model) create(t *rapid.T) {
	name := m.name(t)
	require.True(t, m.both(t, func(disk vfs.FS) error {
		f, err := disk.Create(name)
		if err == nil {
			err = f.Close()
		}
		return err
	}))
	if f := m.now[name]; f != nil {
		f.now = ""
		return
	}
	m.now[name] = &file{}
}

func (m *model) write(t *rapid.T) {
	name := m.name(t)
	off := rapid.SampledFrom([]int{0, 1, 255, 256, 4000, 4096, 65_535, 65_536, 70_000, 140_000}).Draw(t, "offset")
	content := strings.Repeat(rapid.SampledFrom([]string{"x", "yz", "0123456789"}).Draw(t, "content"), rapid.SampledFrom([]int{1, 100, 9000, 30_000}).Draw(t, "times"))
	f := m.now[name]
	done := m.both(t, func(disk vfs.FS) error {
		return withFile(disk, name, func(h vfs.File) error { _, err := h.WriteAt([]byte(content), int64(off)); return err })
	})
	require.Equal(t, f != nil, done)
	if f == nil {
		return
	}
	f.write(content, off)
}

func (f *file) write(content string, off int) {
	if gap := off - len(f.now); gap > 0 {
		f.now += strings.Repeat("\x00", gap)
	}
	f.now = f.now[:off] + content + f.now[min(off+len(content), len(f.now)):]
}

// keep writes spans of a slab, each behind the one before in the slab and in the file.
func (m *model) keep(t *rapid.T) {
	name := m.name(t)
	s := rapid.SampledFrom(m.slabs).Draw(t, "slab")
	from := rapid.SampledFrom([]int{0, 1, 600, 64 << 10}).Draw(t, "from")
	sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 511, 512, 5000, 64 << 10, 70_000}), 1, 3).Draw(t, "sizes")
	where := rapid.SampledFrom([]string{"end", "middle", "behind"}).Draw(t, "where")
	f := m.now[name]
	if f == nil {
		return
	}
	off := map[string]int{"end": len(f.now), "middle": len(f.now) / 2, "behind": len(f.now) + 300}[where]
	if off > 250_000 {
		off = 0
	}
	for _, size := range sizes {
		from = min(from, len(s.Memory()))
		span := s.Span(from, min(from+size, len(s.Memory())))
		require.True(t, m.both(t, func(disk vfs.FS) error {
			return withFile(disk, name, func(h vfs.File) error { _, err := vfs.WriteSpanAt(h, span, int64(off)); return err })
		}))
		if span.Len() == 0 {
			return
		}
		f.write(string(span.Bytes()), off)
		from, off = from+size, off+span.Len()
	}
}

var aPattern = pattern(200_000)

// pattern is so many bytes that differ from one chunk or sector to the next.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(1 + i%251)
	}
	return b
}

func (m *model) truncate(t *rapid.T) {
	name := m.name(t)
	size := rapid.SampledFrom([]int{0, 1, 256, 300, 4096, 65_536, 65_537, 150_000}).Draw(t, "size")
	f := m.now[name]
	m.both(t, func(disk vfs.FS) error {
		return withFile(disk, name, func(h vfs.File) error { return h.Truncate(int64(size)) })
	})
	if f != nil {
		f.now = (f.now + strings.Repeat("\x00", max(0, size-len(f.now))))[:size]
	}
}

func (m *model) sync(t *rapid.T) {
	name := m.name(t)
	m.both(t, func(disk vfs.FS) error { return withFile(disk, name, vfs.File.Sync) })
	if f := m.now[name]; f != nil {
		f.synced = f.now
	}
}

func (m *model) rename(t *rapid.T) {
	from, to := m.name(t), m.name(t)
	if done := m.both(t, func(disk vfs.FS) error { return disk.Rename(from, to) }); done && from != to {
		m.now[to] = m.now[from]
		delete(m.now, from)
		m.moved = true
	}
}

func (m *model) remove(t *rapid.T) {
	name := m.name(t)
	m.both(t, func(disk vfs.FS) error { return disk.Remove(name) })
	delete(m.now, name)
}

func (m *model) syncDir(t *rapid.T) {
	m.both(t, func(disk vfs.FS) error { return disk.SyncDir(".") })
	m.synced, m.moved = maps.Clone(m.now), false
}

func (m *model) powerLoss(t *rapid.T) {
	m.exact.PowerLoss()
	m.torn.PowerLoss()
	clean := maps.Equal(m.now, m.synced) && !m.moved
	m.now, m.moved = maps.Clone(m.synced), false
	for _, f := range m.now {
		clean = clean && f.now == f.synced
	}
	for name, f := range m.now {
		if clean { // nothing was at stake, so nothing may differ
			b, err := vfs.ReadFile(m.torn, name)
			require.NoError(t, err)
			require.True(t, f.synced == string(b))
		}
		f.now = f.synced
	}
	m.adopt(t)
}

// adopt makes the torn disk equal to the exact one again, after a look at what
// it kept, and both clean.
func (m *model) adopt(t *rapid.T) {
	for _, name := range someNames {
		if b, err := vfs.ReadFile(m.torn, name); err == nil {
			require.Less(t, len(b), 500_000)
		}
		require.NoError(t, vfs.RemoveAll(m.torn, name))
	}
	for _, name := range slices.Sorted(maps.Keys(m.now)) {
		require.NoError(t, vfs.WriteFileSynced(m.torn, name, []byte(m.now[name].now)))
	}
	require.NoError(t, m.torn.SyncDir("."))
}

func (m *model) check(t *rapid.T) {
	for _, s := range m.slabs {
		require.True(t, bytes.Equal(aPattern[:len(s.Memory())], s.Memory()), "somebody wrote into a slab of %d bytes", len(s.Memory()))
	}
	for _, disk := range []*vfs.Mem{m.exact, m.torn} {
		names, err := disk.List(".")
		require.NoError(t, err)
		require.Equal(t, slices.Sorted(maps.Keys(m.now)), slices.Clip(append([]string(nil), names...)))
		for name, f := range m.now {
			b, err := vfs.ReadFile(disk, name)
			require.NoError(t, err)
			require.True(t, f.now == string(b), "%s has %d bytes instead of %d, or others", name, len(b), len(f.now))
		}
	}
}
