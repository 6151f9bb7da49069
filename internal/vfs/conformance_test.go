package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
)

// every runs f on each kind of disk: what a node sees must not depend on it.
func every(t *testing.T, f func(t *testing.T, disk vfs.FS)) {
	t.Run("memory", func(t *testing.T) { f(t, vfs.NewMem(1)) })
	t.Run("directory", func(t *testing.T) {
		disk, err := vfs.NewOS(t.TempDir())
		require.NoError(t, err)
		f(t, disk)
	})
	t.Run("directory that can lose power", func(t *testing.T) { f(t, mount(t, t.TempDir())) })
	t.Run("wrapped", func(t *testing.T) { f(t, wrapped(vfs.NewMem(1))) })
}

// wrapped is what a node is given of a disk.
func wrapped(disk vfs.FS) vfs.FS { return vfs.Gated(vfs.WithFaults(disk, new(vfs.Faults)), gate.New()) }

func write(t testing.TB, disk vfs.FS, name, content string) {
	t.Helper()
	f, err := disk.Create(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func read(t testing.TB, disk vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(disk, name)
	require.NoError(t, err)
	return string(b)
}

func TestFiles(t *testing.T) {
	every(t, func(t *testing.T, disk vfs.FS) {
		f, err := disk.Create("a")
		require.NoError(t, err)
		n, err := f.WriteAt([]byte("hello"), 0)
		require.NoError(t, err)
		require.Equal(t, 5, n)
		_, err = f.WriteAt([]byte("J"), 0)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("!"), 200_000) // behind the end
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		require.EqualValues(t, 200_001, size)
		require.NoError(t, f.Sync())

		other, err := disk.Open("a")
		require.NoError(t, err)
		b := make([]byte, 200_010)
		n, err = other.ReadAt(b, 0)
		require.Equal(t, io.EOF, err)
		require.Equal(t, "Jello"+strings.Repeat("\x00", 199_995)+"!", string(b[:n]))
		n, err = other.ReadAt(b[:5], 0)
		require.NoError(t, err)
		require.Equal(t, 5, n)
		_, err = other.ReadAt(b[:1], 200_001)
		require.Equal(t, io.EOF, err)

		require.NoError(t, f.Truncate(3))
		require.NoError(t, f.Truncate(6))
		require.Equal(t, "Jel\x00\x00\x00", read(t, disk, "a"))
		require.NoError(t, f.Truncate(200_000))
		require.Equal(t, "Jel"+strings.Repeat("\x00", 199_997), read(t, disk, "a"), "what was cut off does not come back")

		_, err = f.ReadAt(b[:1], -1)
		require.Error(t, err)
		_, err = f.WriteAt(b[:1], -1)
		require.Error(t, err)
		require.Error(t, f.Truncate(-1))
		require.NoError(t, f.Close())
		require.Error(t, f.Close())
		_, err = f.WriteAt(b[:1], 0)
		require.ErrorIs(t, err, fs.ErrClosed)
		_, err = f.ReadAt(b[:1], 0)
		require.ErrorIs(t, err, fs.ErrClosed)

		emptied, err := disk.Create("a")
		require.NoError(t, err)
		size, err = other.Size()
		require.NoError(t, err)
		require.Zero(t, size, "the same file, emptied")
		require.NoError(t, emptied.Close())
		require.NoError(t, other.Close())
	})
}

func TestNames(t *testing.T) {
	every(t, func(t *testing.T, disk vfs.FS) {
		require.NoError(t, disk.MkdirAll("x/y"))
		require.NoError(t, disk.MkdirAll("x/y"))
		write(t, disk, "x/f", "1")
		write(t, disk, "x/y/g", "2")
		list := func(dir string) string {
			names, err := disk.List(dir)
			require.NoError(t, err)
			return strings.Join(names, " ")
		}
		require.Equal(t, "x/", list("."))
		require.Equal(t, "x/", list(""))
		require.Equal(t, "f y/", list("x"))

		for _, missing := range []string{"nothing", "x/nothing", "nowhere/f"} {
			_, err := disk.Open(missing)
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorIs(t, disk.Remove(missing), fs.ErrNotExist)
			require.ErrorIs(t, disk.Rename(missing, "z"), fs.ErrNotExist)
			_, err = disk.List(missing)
			require.ErrorIs(t, err, fs.ErrNotExist)
		}
		_, err := disk.Create("nowhere/f")
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = disk.Create("x")
		require.Error(t, err, "a directory")
		_, err = disk.Open("x/f/g")
		require.Error(t, err, "below a file")
		require.Error(t, disk.MkdirAll("x/f"))
		require.Error(t, disk.Remove("x"), "not empty")
		for _, bad := range []string{"../f", "/f", "x//f", "x/../f", "x/"} {
			_, err := disk.Create(bad)
			require.ErrorIs(t, err, fs.ErrInvalid, bad)
		}

		write(t, disk, "x/h", "3")
		require.NoError(t, disk.Rename("x/h", "x/f"))
		require.Equal(t, "3", read(t, disk, "x/f"))
		require.NoError(t, disk.Rename("x/f", "x/f"))
		require.NoError(t, disk.Rename("x/f", "x/y/f"))
		require.Equal(t, "f g", list("x/y"))
		require.NoError(t, disk.Rename("x/y", "z"))
		require.Equal(t, "2", read(t, disk, "z/g"))
		require.Error(t, disk.Rename("z/g", "x"), "a directory is not replaced")
		require.Error(t, disk.Rename("z", "x"), "not even by a directory")
		require.Error(t, disk.Rename("x", "x/x"), "into itself")
		require.NoError(t, disk.SyncDir("z"))
		require.NoError(t, disk.SyncDir("."))

		f, err := disk.Open("z/g")
		require.NoError(t, err)
		require.NoError(t, disk.Remove("z/g"))
		b := make([]byte, 1)
		_, err = f.ReadAt(b, 0)
		require.NoError(t, err, "an open file outlives its name")
		require.NoError(t, f.Close())
		require.NoError(t, vfs.RemoveAll(disk, "z"))
		require.NoError(t, vfs.RemoveAll(disk, "z"))
		require.NoError(t, vfs.RemoveAll(disk, "x"))
		require.Empty(t, list("."))
	})
}

func TestWriteFileSynced(t *testing.T) {
	every(t, func(t *testing.T, disk vfs.FS) {
		require.NoError(t, disk.MkdirAll("d"))
		for _, content := range []string{"one", "", "three"} {
			require.NoError(t, vfs.WriteFileSynced(disk, "d/f", []byte(content)))
			require.Equal(t, content, read(t, disk, "d/f"))
		}
		names, err := disk.List("d")
		require.NoError(t, err)
		require.Equal(t, []string{"f"}, names)
	})
}

func TestARealDiskKnowsItsSession(t *testing.T) {
	a, err := vfs.NewOS(t.TempDir())
	require.NoError(t, err)
	b, err := vfs.NewOS(t.TempDir() + "/made/now")
	require.NoError(t, err)
	require.Equal(t, a.Session(), b.Session(), "the machine's")
	_, err = b.List(".")
	require.NoError(t, err)
}

func TestGate(t *testing.T) {
	disk, g := vfs.NewMem(1), gate.New()
	gated := vfs.Gated(disk, g)
	f, err := gated.Create("f")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("a"), 0)
	require.NoError(t, err)
	g.Shut()
	calls := map[string]func() error{
		"write":    func() error { _, err := f.WriteAt([]byte("b"), 0); return err },
		"keep":     func() error { _, err := vfs.WriteSpanAt(f, slab.Of([]byte("b")).Span(0, 1), 0); return err },
		"read":     func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"truncate": func() error { return f.Truncate(0) },
		"sync":     f.Sync,
		"size":     func() error { _, err := f.Size(); return err },
		"open":     func() error { _, err := gated.Open("f"); return err },
		"create":   func() error { _, err := gated.Create("g"); return err },
		"remove":   func() error { return gated.Remove("f") },
		"rename":   func() error { return gated.Rename("f", "g") },
		"mkdir":    func() error { return gated.MkdirAll("d") },
		"list":     func() error { _, err := gated.List("."); return err },
		"syncdir":  func() error { return gated.SyncDir(".") },
	}
	for name, call := range calls {
		require.True(t, errors.Is(call(), gate.ErrShut), name)
	}
	require.NoError(t, f.Close(), "it may always let go")
	require.Equal(t, "a", read(t, disk, "f"))
}
