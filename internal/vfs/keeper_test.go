package vfs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
)

// kept returns a file with spans of s, which cover it.
func kept(t testing.TB, disk vfs.FS, s *slab.Slab, spans int) vfs.File {
	t.Helper()
	f, err := disk.Create("f")
	require.NoError(t, err)
	size := len(s.Memory())
	for i := range spans {
		from, to := size*i/spans, size*(i+1)/spans
		n, err := vfs.WriteSpanAt(f, s.Span(from, to), int64(from))
		require.NoError(t, err)
		require.Equal(t, to-from, n)
	}
	require.NoError(t, disk.SyncDir("."))
	return f
}

// Whatever becomes of a file, others have what it has kept as it was.
func TestWhatIsKeptIsNeverWrittenTo(t *testing.T) {
	for name, harm := range map[string]func(*vfs.Mem, vfs.File) error{
		"over the beginning": func(_ *vfs.Mem, f vfs.File) error { _, err := f.WriteAt([]byte{0}, 0); return err },
		"over most of it":    func(_ *vfs.Mem, f vfs.File) error { _, err := f.WriteAt(make([]byte, 250_000), 1000); return err },
		"behind a cut": func(_ *vfs.Mem, f vfs.File) error {
			if err := f.Truncate(100_000); err != nil {
				return err
			}
			_, err := f.WriteAt([]byte{0}, 100_000)
			return err
		},
		"a longer file": func(_ *vfs.Mem, f vfs.File) error {
			if err := f.Truncate(10); err != nil {
				return err
			}
			return f.Truncate(300_000)
		},
		"another file in its place": func(m *vfs.Mem, _ vfs.File) error {
			if err := m.Remove("f"); err != nil {
				return err
			}
			return vfs.WriteFileSynced(m, "g", make([]byte, 300_000))
		},
		"a power loss":                func(m *vfs.Mem, _ vfs.File) error { m.PowerLoss(); return nil },
		"a power loss after a change": lossAfterAChange,
	} {
		t.Run(name, func(t *testing.T) {
			want := pattern(256 << 10)
			for seed := range uint64(8) { // several, for the seed decides what a power loss tears
				s := slab.Of(want)
				harmed, whole := vfs.NewMem(seed), vfs.NewMem(seed)
				f := kept(t, harmed, s, 4)
				kept(t, whole, s, 1)
				require.NoError(t, harm(harmed, f))
				require.True(t, bytes.Equal(want, s.Memory()))
				require.True(t, string(want) == read(t, whole, "f"))
			}
		})
	}
}

// lossAfterAChange has synced bytes come back into, and others torn out of, what is kept.
func lossAfterAChange(m *vfs.Mem, f vfs.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Truncate(1000); err != nil {
		return err
	}
	over := slab.Of(make([]byte, 300_000))
	if _, err := vfs.WriteSpanAt(f, over.Span(0, 300_000), 1000); err != nil {
		return err
	}
	m.PowerLoss()
	if !bytes.Equal(make([]byte, 300_000), over.Memory()) {
		return fmt.Errorf("what was written over the synced bytes has changed")
	}
	return nil
}

// Of a kept piece only the chunks that are written to become the file's own.
func TestWritingOverWhatIsKeptCostsAChunk(t *testing.T) {
	s := slab.Of(pattern(8 << 20))
	m := vfs.NewMem(0)
	f := kept(t, m, s, 8)
	require.Less(t, allocated(func() {
		_, err := f.WriteAt([]byte("damage"), 5_000_000)
		require.NoError(t, err)
	}), uint64(128<<10))
	want := pattern(8 << 20)
	copy(want[5_000_000:], "damage")
	require.True(t, string(want) == read(t, m, "f"))
}

// A file that keeps what it is given takes no memory for it, and little for what is
// written between.
func TestKeepingTakesNoMemory(t *testing.T) {
	s := slab.Of(pattern(8 << 20))
	f, err := vfs.NewMem(0).Create("f")
	require.NoError(t, err)
	require.Less(t, allocated(func() {
		for i := range 2000 {
			at := int64(i) * 4096
			_, err := f.WriteAt([]byte("header"), at)
			require.NoError(t, err)
			_, err = vfs.WriteSpanAt(f, s.Span(i*4090, (i+1)*4090), at+6)
			require.NoError(t, err)
		}
	}), uint64(3<<20), "256 bytes for each header, two pieces, and what a list of pieces grows through")
	require.Less(t, allocated(func() { kept(t, vfs.NewMem(0), s, 2000) }), uint64(64<<10), "spans that join are one piece")
}

// allocated returns how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What is borrowed changes hands again: no file may keep it.
func TestBorrowedBytesAreCopied(t *testing.T) {
	every(t, func(t *testing.T, disk vfs.FS) {
		f, err := disk.Create("f")
		require.NoError(t, err)
		b := bytes.Repeat([]byte{'a'}, 100_000)
		n, err := vfs.WriteSpanAt(f, slab.Borrow(b), 0)
		require.NoError(t, err)
		require.Equal(t, len(b), n)
		clear(b)
		require.Equal(t, string(bytes.Repeat([]byte{'a'}, 100_000)), read(t, disk, "f"))
		require.NoError(t, f.Close())
	})
}

func TestSpansAreWrittenLikeBytes(t *testing.T) {
	every(t, func(t *testing.T, disk vfs.FS) {
		s := slab.Of(pattern(200_000))
		f, err := disk.Create("f")
		require.NoError(t, err)
		var want []byte
		put := func(from, to, off int) {
			t.Helper()
			n, err := vfs.WriteSpanAt(f, s.Span(from, to), int64(off))
			require.NoError(t, err)
			require.Equal(t, to-from, n)
			want = append(want, make([]byte, max(0, off+n-len(want)))...)
			copy(want[off:], s.Memory()[from:to])
			require.True(t, string(want) == read(t, disk, "f"))
		}
		put(0, 100, 0)             // small
		put(100, 1000, 100)        // behind it
		put(1000, 1001, 1000)      // small, but it joins
		put(5000, 150_000, 1001)   // from elsewhere
		put(150_000, 200_000, 500) // over what is there
		put(0, 2000, 145_500)      // over the end
		put(10, 5000, 300_000)     // behind the end
		for _, cut := range []int{302_000, 300_000, 299_999, 146_000, 70_000, 600} {
			require.NoError(t, f.Truncate(int64(cut)))
			want = want[:cut]
			require.True(t, string(want) == read(t, disk, "f"), cut)
			b := make([]byte, 40)
			n, _ := f.ReadAt(b, int64(cut-20))
			require.Equal(t, want[cut-20:], b[:n])
		}
		put(600, 3000, 600)

		_, err = vfs.WriteSpanAt(f, s.Span(0, 1), -1)
		require.Error(t, err)
		n, err := vfs.WriteSpanAt(f, s.Span(3, 3), 1_000_000)
		require.NoError(t, err)
		require.Zero(t, n)
		require.True(t, string(want) == read(t, disk, "f"), "nothing is written nowhere")
		require.NoError(t, f.Close())
		_, err = vfs.WriteSpanAt(f, s.Span(0, 1), 0)
		require.ErrorIs(t, err, fs.ErrClosed)
		require.True(t, bytes.Equal(pattern(200_000), s.Memory()))
	})
}

func TestADeadFileKeepsNothing(t *testing.T) {
	m, s := vfs.NewMem(0), slab.Of(pattern(1000))
	f := kept(t, m, s, 1)
	require.NoError(t, f.Sync())
	m.PowerLoss()
	_, err := vfs.WriteSpanAt(f, s.Span(0, 1000), 1000)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.Equal(t, string(pattern(1000)), read(t, m, "f"))
}

func TestWhichDisksKeep(t *testing.T) {
	machine, err := vfs.NewOS(t.TempDir())
	require.NoError(t, err)
	for _, c := range []struct {
		disk  vfs.FS
		keeps bool
	}{{vfs.NewMem(1), true}, {machine, false}, {mount(t, t.TempDir()), false}} {
		for _, disk := range []vfs.FS{c.disk, wrapped(c.disk)} {
			f, err := disk.Create("f")
			require.NoError(t, err)
			require.Equal(t, c.keeps, vfs.Keeps(f), "%T", c.disk)
			require.NoError(t, f.Close())
		}
	}
}
