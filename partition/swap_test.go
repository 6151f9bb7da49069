package partition_test

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// obsolete is a log whose middle segments hold nothing that stays.
func obsolete(t testing.TB, disk vfs.FS) *partition.Log {
	l := segments(t, disk,
		list(batch("a=1"), batch("b=1")), list(batch("a=2"), batch("b=2")), list(batch("b=3", "a=3")),
		list(batch("c=1"), batch("b=4", "a=4", "b=5")), list(batch("z=1")))
	require.NoError(t, l.Sync())
	return l
}

// However far a compaction has come when the process or the power goes, the log is
// what it was or what it was to be, and is found to be whole.
func TestACrashDuringACompactionLeavesOneOfTwoLogs(t *testing.T) {
	before := []string{"0:a=1", "1:b=1", "2:a=2", "3:b=2", "4:b=3", "5:a=3", "6:c=1", "7:b=4", "8:a=4", "9:b=5", "10:z=1"}
	after := []string{"6:c=1", "8:a=4", "9:b=5", "10:z=1"}
	seen := map[bool]int{}
	for seed := range uint64(16) {
		for n, finished := 0, false; !finished; n++ {
			disk := vfs.NewMem(seed / 2)
			l := obsolete(t, disk)
			require.NoError(t, l.Close())
			at := &limited{FS: disk, left: math.MaxInt, err: syscall.EIO}
			l = open(t, at, partition.Config{})
			at.left = n
			_, err := partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 11})
			finished = err == nil
			require.NoError(t, l.Close())
			if seed%2 == 1 {
				disk.PowerLoss()
			}
			for range 2 { // opening changes nothing
				again, found, err := partition.Open(disk, dir, partition.Config{})
				require.NoError(t, err)
				require.Empty(t, found.Corrupt)
				require.Equal(t, [3]int64{0, 0, 11}, [3]int64{found.TornBytes, found.LogStartOffset, found.LogEndOffset})
				got := words(t, again)
				require.True(t, slices.Equal(got, before) || slices.Equal(got, after), "%v after %d operations", got, n)
				require.True(t, !finished || slices.Equal(got, after))
				seen[slices.Equal(got, after)]++
				require.NoError(t, again.Close())
			}
			names, err := disk.List(dir)
			require.NoError(t, err)
			for _, name := range names {
				require.NotRegexp(t, "cleaned|swap|deleted", name)
			}
		}
	}
	require.Greater(t, seen[true], 50)
	require.Greater(t, seen[false], 50)
}

// A segment that was damaged between the crash and the start does not take others
// along: the log is found to be damaged where it is.
func TestADamagedSwapIsFound(t *testing.T) {
	for at := range 200 {
		disk := vfs.NewMem(0)
		l := obsolete(t, disk)
		require.NoError(t, l.Close())
		limit := &limited{FS: disk, left: math.MaxInt, err: syscall.EIO}
		l = open(t, limit, partition.Config{})
		swapped := -1
		for left := 0; swapped < 0; left++ {
			limit.left = left
			_, _ = partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 11})
			require.NoError(t, l.Close())
			names, err := disk.List(dir)
			require.NoError(t, err)
			swapped = slices.Index(names, "00000000000000000000.log.swap")
			limit.left = math.MaxInt
			if swapped < 0 {
				l = open(t, limit, partition.Config{})
			}
		}
		f, err := disk.Open(dir + "/00000000000000000000.log.swap")
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		if int64(at) >= size {
			return
		}
		var b [1]byte
		_, err = f.ReadAt(b[:], int64(at))
		require.NoError(t, err)
		b[0] ^= 0x40
		_, err = f.WriteAt(b[:], int64(at))
		require.NoError(t, err)
		l, found, err := partition.Open(disk, dir, partition.Config{})
		require.NoError(t, err)
		if len(found.Corrupt) == 0 { // an epoch, or an offset that is not there
			require.EqualValues(t, 11, l.LogEndOffset(), "byte %d", at)
		}
		require.NoError(t, l.Close())
	}
}

// The first segment keeps its name, so the log starts where it did; the last batch of
// each keeps its place, so that a follower gets to the end.
func TestACompactedLogStartsAndEndsWhereItDid(t *testing.T) {
	l := obsolete(t, vfs.NewMem(0))
	_, err := partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 6})
	require.NoError(t, err)
	_, err = l.Truncate(6)
	require.NoError(t, err)
	require.Equal(t, []string{"4:b=3", "5:a=3"}, words(t, l))

	l = segments(t, vfs.NewMem(0), list(batch("a=1", "a=2"), batch("=unkeyed")), list(batch("z=1")))
	compact(t, l, now, partition.Compaction{})
	_, err = l.Truncate(3)
	require.NoError(t, err)
	require.Equal(t, []string{"1:a=2"}, words(t, l))
	disk := vfs.NewMem(0)
	follower := open(t, disk, partition.Config{Compacted: true})
	for follower.LogEndOffset() < 3 {
		b, err := l.Read(nil, follower.LogEndOffset(), 3, 1, true)
		require.NoError(t, err)
		require.NotEmpty(t, b, "at %d", follower.LogEndOffset())
		_, err = follower.AppendAsFollower(b, 0)
		require.NoError(t, err)
	}
	_, found := reopen(t, follower, disk, partition.Config{})
	require.EqualValues(t, 3, found.LogEndOffset)
}

// A log that is cut, emptied, retained or closed meanwhile makes the compaction give
// up, and nothing of it shows.
func TestACompactionGivesWay(t *testing.T) {
	for name, change := range map[string]func(l *partition.Log) error{
		"truncate": func(l *partition.Log) error { _, err := l.Truncate(10); return err },
		"cut deep": func(l *partition.Log) error { _, err := l.Truncate(3); return err },
		"reset":    func(l *partition.Log) error { return l.Reset(100) },
		"retain": func(l *partition.Log) error {
			_, err := l.Retain(now, 4, partition.Retention{Delete: true, Time: -1, Bytes: 0})
			return err
		},
	} {
		for step := range 12 {
			t.Run(fmt.Sprint(name, step), func(t *testing.T) {
				disk := vfs.NewMem(0)
				l := obsolete(t, disk)
				at := 0
				_, err := partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 11, Check: func() error {
					if at++; at == step {
						return change(l)
					}
					return nil
				}})
				if at < step || step == 0 {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, partition.ErrGivenUp)
				got := words(t, l)
				twin := obsolete(t, vfs.NewMem(0))
				require.NoError(t, change(twin))
				require.Equal(t, words(t, twin), got)
				names, err := disk.List(dir)
				require.NoError(t, err)
				require.NotContains(t, fmt.Sprint(names), "cleaned")
				appendTo(t, l, 0, "goes on")
			})
		}
	}
}

func TestClosingALogEndsItsCompaction(t *testing.T) {
	l := obsolete(t, vfs.NewMem(0))
	var closing atomic.Bool
	closed := make(chan struct{})
	_, err := partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 11, Check: func() error {
		if !closing.Swap(true) {
			go func() { _ = l.Close(); close(closed) }()
		}
		return nil
	}})
	if err != nil {
		require.ErrorIs(t, err, partition.ErrGivenUp)
	}
	<-closed
	_, err = partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{})
	require.ErrorIs(t, err, partition.ErrGivenUp)
}

// A full disk costs a compaction and nothing else.
func TestAFullDiskDuringACompaction(t *testing.T) {
	var faults vfs.Faults
	disk := vfs.NewMem(0)
	l := obsolete(t, vfs.WithFaults(disk, &faults))
	heal := faults.Full()
	_, err := partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 11})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, err, metadata.ErrStorage)
	require.Len(t, words(t, l), 11)
	heal()
	appendTo(t, l, 0, "goes on")
	compact(t, l, now, partition.Compaction{})
	require.Len(t, words(t, l), 5)
}

// Damage is said to be where it is, and left as it is.
func TestADamagedSegmentIsNotCompacted(t *testing.T) {
	disk := vfs.NewMem(0)
	l := obsolete(t, disk)
	f, err := disk.Open(dir + "/00000000000000000002.log")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0xff}, 65)
	require.NoError(t, err)
	done, err := partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: 11})
	var corrupt *partition.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, dir+"/00000000000000000002.log", corrupt.File)
	require.Zero(t, done.To)
	appendTo(t, l, 0, "goes on")
}

// FuzzCompaction gives the cleaner segments that are damaged, with checksums that are
// right: they tell nothing of what is wrong inside.
func FuzzCompaction(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add([]byte{0x80, 0xff, 0xff, 0xff, 0x0f}, uint16(61))
	f.Fuzz(func(t *testing.T, damage []byte, at uint16) {
		disk := vfs.NewMem(0)
		l := obsolete(t, disk)
		name := dir + "/00000000000000000006.log"
		raw, err := vfs.ReadFile(disk, name)
		require.NoError(t, err)
		copy(raw[int(at)%len(raw):], damage)
		for b := range partition.Batches(raw) {
			batchtest.Seal(b)
		}
		file, err := disk.Open(name)
		require.NoError(t, err)
		_, err = file.WriteAt(raw, 0)
		require.NoError(t, err)
		_, _ = partition.NewCleaner(1000).Compact(l, now, partition.Compaction{Committed: 11})
		_, _ = l.Read(nil, 0, 11, 1<<20, true)
	})
}
