package vfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
)

// mount returns the disk that is the directory "disk" below dir.
func mount(t testing.TB, dir string) *vfs.Directory {
	t.Helper()
	disk := vfs.NewDirectory(filepath.Join(dir, "disk"), filepath.Join(dir, "aside"))
	require.NoError(t, disk.Mount())
	return disk
}

// tree is everything on a disk: names and contents.
func tree(t testing.TB, disk vfs.FS, dir string) (all []string) {
	t.Helper()
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		at := filepath.ToSlash(filepath.Join(dir, name))
		if strings.HasSuffix(name, "/") {
			all = append(all, at+"/")
			all = append(all, tree(t, disk, at)...)
			continue
		}
		all = append(all, at+"="+read(t, disk, at))
	}
	return all
}

func synced(t testing.TB, disk vfs.FS, name, content string) {
	t.Helper()
	f, err := disk.Create(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

func TestADirectoryLosesWhatWasNotSynced(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, disk vfs.FS)
		left []string
	}{
		"bytes behind the synced ones": {func(t *testing.T, disk vfs.FS) {
			f, err := disk.Open("d/old")
			require.NoError(t, err)
			defer f.Close()
			_, err = f.WriteAt([]byte("12345"), 3)
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			_, err = f.WriteAt([]byte("6789"), 8)
			require.NoError(t, err)
		}, []string{"d/", "d/old=old12345"}},
		"a shorter file with a new end": {func(t *testing.T, disk vfs.FS) {
			f, err := disk.Open("d/old")
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, f.Truncate(1))
			_, err = f.WriteAt([]byte("new end"), 1)
			require.NoError(t, err)
		}, []string{"d/", "d/old=o"}},
		"new names": {func(t *testing.T, disk vfs.FS) {
			synced(t, disk, "d/new", "synced, but not its name")
			require.NoError(t, disk.MkdirAll("e/f"))
			synced(t, disk, "e/f/g", "1")
			require.NoError(t, disk.SyncDir("e/f"))
		}, []string{"d/", "d/old=old"}},
		"new names that were synced": {func(t *testing.T, disk vfs.FS) {
			synced(t, disk, "d/new", "all")
			write(t, disk, "d/empty", "none")
			require.NoError(t, disk.SyncDir("d"))
		}, []string{"d/", "d/empty=", "d/new=all", "d/old=old"}},
		"a removal": {func(t *testing.T, disk vfs.FS) {
			require.NoError(t, vfs.RemoveAll(disk, "d"))
		}, []string{"d/", "d/old=old"}},
		"a removal that was synced": {func(t *testing.T, disk vfs.FS) {
			require.NoError(t, vfs.RemoveAll(disk, "d"))
			require.NoError(t, disk.SyncDir("."))
		}, nil},
		"a removal, and the name given again": {func(t *testing.T, disk vfs.FS) {
			require.NoError(t, disk.Remove("d/old"))
			synced(t, disk, "d/old", "another")
			require.NoError(t, disk.Rename("d", "e"))
		}, []string{"d/", "d/old=old"}},
		"a replacement": {func(t *testing.T, disk vfs.FS) {
			synced(t, disk, "d/tmp", "new")
			require.NoError(t, disk.Rename("d/tmp", "d/old"))
		}, []string{"d/", "d/old=old"}},
		"a replacement that was synced": {func(t *testing.T, disk vfs.FS) {
			require.NoError(t, vfs.WriteFileSynced(disk, "d/old", []byte("new")))
		}, []string{"d/", "d/old=new"}},
		"a move to another directory": {func(t *testing.T, disk vfs.FS) {
			require.NoError(t, disk.MkdirAll("e"))
			require.NoError(t, disk.Rename("d/old", "e/old"))
		}, []string{"d/", "d/old=old"}},
		"a renamed directory in which things go on": {func(t *testing.T, disk vfs.FS) {
			require.NoError(t, disk.Rename("d", "e"))
			synced(t, disk, "e/kept", "1")
			require.NoError(t, disk.SyncDir("e"))
			synced(t, disk, "e/lost", "1")
		}, []string{"d/", "d/kept=1", "d/old=old"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk := mount(t, dir)
			require.NoError(t, disk.MkdirAll("d"))
			synced(t, disk, "d/old", "old")
			require.NoError(t, disk.SyncDir("d"))
			require.NoError(t, disk.SyncDir("."))

			c.do(t, disk)
			before := disk.Session()
			require.NoError(t, disk.PowerLoss())
			require.Equal(t, c.left, tree(t, disk, "."))
			require.NotEqual(t, before, disk.Session())
			require.Equal(t, disk.Session(), mount(t, dir).Session(), "also for the next process")
			aside, err := os.ReadDir(filepath.Join(dir, "aside"))
			require.NoError(t, err)
			require.Len(t, aside, 1, "the session")
		})
	}
}

func TestADirectoryKeepsEverythingInAProcessCrash(t *testing.T) {
	dir := t.TempDir()
	disk := mount(t, dir)
	write(t, disk, "a", "1")
	require.NoError(t, disk.Rename("a", "b"))
	write(t, disk, "a", "2")
	require.NoError(t, disk.Remove("a"))
	again := mount(t, dir)
	require.Equal(t, []string{"b=1"}, tree(t, again, "."))
	require.Equal(t, disk.Session(), again.Session())
	require.NoError(t, again.PowerLoss())
	require.Equal(t, []string{"b=1"}, tree(t, again, "."), "what it found counts as synced")
}

func TestAWipedDirectoryIsAnotherDisk(t *testing.T) {
	disk := mount(t, t.TempDir())
	synced(t, disk, "a", "1")
	f, err := disk.Open("a")
	require.NoError(t, err)
	before := disk.Session()
	require.NoError(t, disk.Wipe())
	require.Empty(t, tree(t, disk, "."))
	require.NotEqual(t, before, disk.Session())
	_, err = f.WriteAt([]byte("late"), 0)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.NoError(t, f.Close())
}

func TestALockIsTakenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := vfs.Lock(path)
	require.NoError(t, err)
	_, err = vfs.Lock(path)
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, held.Close())
	again, err := vfs.Lock(path)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
