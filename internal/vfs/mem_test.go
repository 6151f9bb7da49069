package vfs_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
