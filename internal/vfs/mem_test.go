package vfs_test

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/vfs"
)

func TestPowerLossTakesExactlyWhatWasNotSynced(t *testing.T) {
	m := vfs.NewMem(0)
	f, err := m.Create("synced")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("kept"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, m.SyncDir("."))
	_, err = f.WriteAt([]byte("L"), 1) // over synced bytes
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("lost"), 4)
	require.NoError(t, err)
	write(t, m, "never synced", "x")
	g, err := m.Create("bytes without a name")
	require.NoError(t, err)
	require.NoError(t, g.Sync())

	session := m.Session()
	m.PowerLoss()
	require.NotEqual(t, session, m.Session())
	names, err := m.List(".")
	require.NoError(t, err)
	require.Equal(t, []string{"synced"}, names)
	require.Equal(t, "kept", read(t, m, "synced"))
	_, err = f.WriteAt([]byte("x"), 0)
	require.Error(t, err, "an open file is dead")
	require.NoError(t, f.Close())

	require.NoError(t, vfs.WriteFileSynced(m, "checkpoint", []byte("old")))
	require.NoError(t, m.Rename("synced", "renamed"))
	require.NoError(t, m.Remove("checkpoint"))
	m.PowerLoss()
	require.Equal(t, "old", read(t, m, "checkpoint"), "a removal that was not synced is undone")
	require.Equal(t, "kept", read(t, m, "synced"), "and so is a rename")

	f, err = m.Open("synced")
	require.NoError(t, err)
	require.NoError(t, f.Truncate(1))
	_, err = f.WriteAt([]byte("new"), 1)
	require.NoError(t, err)
	m.PowerLoss()
	require.Equal(t, "kept", read(t, m, "synced"), "and a truncation")

	require.NoError(t, m.MkdirAll("a/b"))
	require.NoError(t, vfs.WriteFileSynced(m, "a/b/f", []byte("x")))
	require.NoError(t, m.SyncDir("a"))
	m.PowerLoss()
	_, err = m.List("a")
	require.Error(t, err, "a directory needs its own name synced")
	m.Wipe()
	names, err = m.List(".")
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestWhatIsTornDependsOnTheSeedOnly(t *testing.T) {
	outcome := func(seed uint64) string {
		m := vfs.NewMem(seed)
		for i := range 10 {
			f, err := m.Create(fmt.Sprint(i))
			require.NoError(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{'a'}, 5000), 0)
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			if i < 5 {
				require.NoError(t, m.SyncDir("."))
			}
			_, err = f.WriteAt(bytes.Repeat([]byte{'b'}, 5000), 3000)
			require.NoError(t, err)
		}
		m.PowerLoss()
		names, err := m.List(".")
		require.NoError(t, err)
		var all strings.Builder
		for _, name := range names {
			b := read(t, m, name)
			require.Equal(t, strings.Repeat("a", 3000), b[:3000])
			require.GreaterOrEqual(t, len(b), 5000)
			fmt.Fprintln(&all, name, b)
		}
		return all.String()
	}
	seen := map[string]bool{}
	for seed := uint64(1); seed < 20; seed++ {
		require.Equal(t, outcome(seed), outcome(seed))
		seen[outcome(seed)] = true
	}
	require.Greater(t, len(seen), 10)
}

// TestMemAgainstModel does anything to files and names, with process crashes (which
// are nothing) and power losses between, and compares a disk that loses exactly
// what was not synced with maps of strings; and beside it one that tears, whose
// synced bytes must be there all the same.
func TestMemAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{now: map[string]*file{}, synced: map[string]*file{}}
		m.exact, m.torn = vfs.NewMem(0), vfs.NewMem(rapid.Uint64Range(1, 1<<40).Draw(t, "seed"))
		t.Repeat(map[string]func(*rapid.T){
			"create":    m.create,
			"write":     m.write,
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
	if gap := off - len(f.now); gap > 0 {
		f.now += strings.Repeat("\x00", gap)
	}
	f.now = f.now[:off] + content + f.now[min(off+len(content), len(f.now)):]
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

// A disk that was written to once gives its memory to the next file.
func TestMemoryIsUsedAgain(t *testing.T) {
	m := vfs.NewMem(1)
	chunk := make([]byte, 64<<10)
	cycle := func() {
		f, err := m.Create("f")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 16 {
			if _, err := f.WriteAt(chunk, int64(i*len(chunk))); err != nil {
				t.Fatal(err)
			}
		}
		_ = f.Sync()
		_ = f.Close()
		_ = m.Remove("f")
		_ = m.SyncDir(".")
	}
	cycle()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		cycle()
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20*64<<10), "a sixteenth of what was written")
}

func BenchmarkMemWrite(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			m := vfs.NewMem(1)
			f, err := m.Create("f")
			require.NoError(b, err)
			p := make([]byte, size)
			b.SetBytes(int64(size))
			off := int64(0)
			for b.Loop() {
				if _, err := f.WriteAt(p, off); err != nil {
					b.Fatal(err)
				}
				if off += int64(size); off > 256<<20 {
					off = 0
					require.NoError(b, f.Truncate(0))
				}
			}
		})
	}
}
