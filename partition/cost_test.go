package partition_test

import (
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// counting is a disk that counts the bytes that are read of each file.
type counting struct {
	vfs.FS
	mu   sync.Mutex
	read map[string]int64
}

func (c *counting) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &countingFile{f, c, path.Base(name)}, nil
}

type countingFile struct {
	vfs.File
	disk *counting
	name string
}

func (f *countingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.read[f.name] += int64(n)
	return n, err
}

// cost opens a log and returns how many bytes of each file that took, and of all.
func cost(t *testing.T, disk vfs.FS, cfg partition.Config) (of map[string]int64, all int64) {
	c := &counting{FS: disk, read: map[string]int64{}}
	l, found, err := partition.Open(c, dir, cfg)
	require.NoError(t, err)
	require.Empty(t, found.Corrupt)
	require.NoError(t, l.Close())
	for _, n := range c.read {
		all += n
	}
	return c.read, all
}

// What a start reads depends on what was written since the last segment was begun,
// or the last stop in good order, and not on how much there is.
func TestOpenReadsOnlyWhatItMust(t *testing.T) {
	const batches, segment = 200, 1 << 20
	cfg := partition.Config{SegmentBytes: segment}
	disk := vfs.NewMem(0)
	l := open(t, disk, cfg)
	for range batches {
		_, err := l.AppendAsLeader(batchtest.Sized(16, 1<<10), 1, now)
		require.NoError(t, err)
	}
	size := l.Size()
	require.Greater(t, size, int64(3*segment))
	require.NoError(t, l.Close())

	names, err := disk.List(dir)
	require.NoError(t, err)
	logs, newest := 0, ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			logs, newest = logs+1, name
		}
	}
	const little = 32 << 10 // a segment's last batch, of 16 KiB, and its indexes

	of, all := cost(t, disk, cfg) // a crash
	f, err := disk.Open(dir + "/" + newest)
	require.NoError(t, err)
	active, err := f.Size()
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, active, of[newest], "each byte of the active segment once")
	require.Less(t, all-active, int64(logs*little))

	l = open(t, disk, cfg)
	require.NoError(t, l.Checkpoint(now))
	require.NoError(t, l.Close())
	disk.PowerLoss()
	_, all = cost(t, disk, cfg) // a stop in good order, and nothing depends on the power
	require.Less(t, all, int64(logs*little))

	require.NoError(t, disk.Remove(dir+"/"+strings.TrimSuffix(names[0], path.Ext(names[0]))+".index"))
	_, all = cost(t, disk, cfg)
	require.Less(t, all, int64(segment+logs*little), "one segment's index is made anew from that segment")

	l = open(t, disk, cfg)
	require.NoError(t, l.Distrust())
	require.NoError(t, l.Close())
	of, _ = cost(t, disk, cfg)
	whole := int64(0)
	for name, n := range of {
		if strings.HasSuffix(name, ".log") {
			whole += n
		}
	}
	require.Equal(t, size, whole, "everything, and everything once")
}

// A log that an earlier version left has no snapshots; the first segment that is
// begun proves all of it.
func TestOpenOfALogWithoutSnapshots(t *testing.T) {
	cfg := partition.Config{SegmentBytes: 4 * one}
	disk := vfs.NewMem(0)
	l := open(t, disk, cfg)
	for range 30 {
		appendTo(t, l, 1, "a")
	}
	require.NoError(t, l.Distrust())
	l, found := reopen(t, l, disk, cfg)
	require.Equal(t, partition.Recovery{LogEndOffset: 30}, found)
	require.Zero(t, l.RecoveryPoint())
	for range 5 {
		appendTo(t, l, 1, "b")
	}
	require.EqualValues(t, 32, l.RecoveryPoint())
	disk.PowerLoss()
	_ = l.Close()
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, partition.Recovery{LogEndOffset: 32}, found)
	require.EqualValues(t, 32, l.RecoveryPoint())
}
