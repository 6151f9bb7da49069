package partition_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

var forEver = partition.Retention{Delete: true, Time: -1, Bytes: -1}

func later(ms int64) time.Time { return now.Add(time.Duration(ms) * time.Millisecond) }

// segmented is a log with a segment for each of five batches, stamped 0, 10, 20, ...
func segmented(t *testing.T, disk vfs.FS) *partition.Log {
	l := open(t, disk, partition.Config{SegmentBytes: one + 10})
	for i := range int64(5) {
		_, err := l.AppendAsLeader(stamped(0, 10*i), int32(i/2), now)
		require.NoError(t, err)
	}
	return l
}

func retain(t *testing.T, l *partition.Log, ms, committed int64, keep partition.Retention) int {
	t.Helper()
	n, err := l.Retain(later(ms), committed, keep)
	require.NoError(t, err)
	return n
}

func TestRetentionRemovesTheOldestSegments(t *testing.T) {
	byTime := partition.Retention{Delete: true, Time: 15 * time.Millisecond, Bytes: -1}
	byBytes := partition.Retention{Delete: true, Time: -1, Bytes: int64(3 * one)}
	for name, c := range map[string]struct {
		ms, committed int64
		keep          partition.Retention
		want          int
	}{
		"no limit":                     {1 << 40, 5, forEver, 0},
		"time":                         {36, 5, byTime, 3},
		"exactly as old as allowed":    {35, 5, byTime, 2},
		"time, committed only":         {36, 2, byTime, 2},
		"time, everything":             {1 << 40, 5, byTime, 5},
		"bytes":                        {0, 5, byBytes, 2},
		"bytes, committed only":        {0, 1, byBytes, 1},
		"no bytes at all":              {0, 5, partition.Retention{Delete: true, Time: -1}, 5},
		"a topic that deletes nothing": {1 << 40, 5, partition.Retention{Time: 1, Bytes: 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem(0)
			l := segmented(t, disk)
			require.Equal(t, c.want, retain(t, l, c.ms, c.committed, c.keep))
			check := func(l *partition.Log) {
				require.EqualValues(t, c.want, l.LogStartOffset())
				require.EqualValues(t, 5, l.LogEndOffset())
				require.Len(t, values(t, l, int64(c.want)), 5-c.want)
				if c.want > 0 {
					_, err := l.Read(nil, int64(c.want-1), 5, 1000, true)
					require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
				}
				names, err := disk.List(dir)
				require.NoError(t, err)
				require.NotContains(t, strings.Join(names, " "), "deleted")
			}
			check(l)
			require.Zero(t, retain(t, l, c.ms, c.committed, c.keep), "there is no more to do")
			require.NoError(t, l.Sync())
			disk.PowerLoss()
			l, _ = reopen(t, l, disk, partition.Config{})
			check(l)
			appendTo(t, l, 9, "more")
			require.EqualValues(t, 6, l.LogEndOffset())
		})
	}
}

func TestSegmentsBelowTheLogStartGo(t *testing.T) {
	l := segmented(t, vfs.NewMem(0))
	require.NoError(t, l.SetLogStart(3))
	require.Equal(t, 3, retain(t, l, 0, 5, partition.Retention{}), "whatever the topic's policy is")
	require.Equal(t, []partition.EpochStart{{Epoch: 1, Offset: 3}, {Epoch: 2, Offset: 4}}, l.Epochs())
	require.NoError(t, l.SetLogStart(5))
	require.Equal(t, 1, retain(t, l, 0, 5, forEver))
	require.EqualValues(t, 5, l.LogStartOffset(), "the active segment stays, and the start does not go back")
}

// A disk that renames only so many files more.
type tiring struct {
	vfs.FS
	renames int
}

func (d *tiring) Rename(from, to string) error {
	if d.renames--; d.renames < 0 {
		return errors.New("tired")
	}
	return d.FS.Rename(from, to)
}

// A crash at any point of the removal leaves a log without a hole.
func TestACrashDuringRetentionLeavesNoHole(t *testing.T) {
	for seed := range uint64(40) {
		disk := vfs.NewMem(seed)
		l := segmented(t, disk)
		require.NoError(t, l.Sync())
		require.NoError(t, l.Close())
		l, _, err := partition.Open(&tiring{disk, int(seed / 2)}, dir, partition.Config{SegmentBytes: one + 10})
		require.NoError(t, err)
		if seed%2 == 0 {
			_, _ = l.Retain(later(math.MaxInt32), 5, partition.Retention{Delete: true, Time: 1, Bytes: -1})
		} else {
			_, _ = l.Retain(later(22), 5, partition.Retention{Delete: true, Time: 1, Bytes: -1})
		}
		require.NoError(t, l.Close())
		disk.PowerLoss()
		l, found, err := partition.Open(disk, dir, partition.Config{})
		require.NoError(t, err)
		require.Empty(t, found.Corrupt, "seed %d", seed)
		require.EqualValues(t, 5, l.LogEndOffset(), "seed %d", seed)
		require.NoError(t, l.Close())
	}
}

func TestRemovedFilesAreSweptUp(t *testing.T) {
	disk := three(t, partition.Config{})
	_, err := disk.Create(dir + "/00000000000000000000.log.deleted")
	require.NoError(t, err)
	open(t, disk, partition.Config{})
	names, err := disk.List(dir)
	require.NoError(t, err)
	require.NotContains(t, names, "00000000000000000000.log.deleted")
}

// A segment's age is counted from its first batch to the new one, in the records'
// time; by the clock if they have none.
func TestSegmentsRollByTime(t *testing.T) {
	segments := func(l *partition.Log) int { // removable by size, one by one
		n, err := l.Retain(now, l.LogEndOffset(), partition.Retention{Delete: true, Time: -1})
		require.NoError(t, err)
		return n
	}
	cfg := partition.Config{SegmentTime: 10 * time.Millisecond}
	l := open(t, vfs.NewMem(0), cfg)
	for _, ms := range []int64{0, 10, 5, 11, 20, 22, 1} {
		appendStamped(t, l, 1, ms)
	}
	require.Equal(t, 3, segments(l), "0 10 5, 11 20, 22 1")

	follower := open(t, vfs.NewMem(0), cfg)
	for i, ms := range []int64{0, 11} {
		b := partition.Batch(stamped(0, ms))
		b.SetBaseOffset(int64(i))
		_, err := follower.AppendAsFollower(b, 1)
		require.NoError(t, err)
	}
	require.Equal(t, 2, segments(follower))

	l = open(t, vfs.NewMem(0), cfg)
	timeless := batchtest.Spec{Records: []batchtest.Record{{Timestamp: -1}}}
	for _, ms := range []int64{0, 10, 11, 12} {
		_, err := l.AppendAsLeader(timeless.Bytes(), 1, later(ms))
		require.NoError(t, err)
	}
	require.Equal(t, 0, retain(t, l, 20, 4, partition.Retention{Delete: true, Time: 11 * time.Millisecond, Bytes: -1}))
	require.Equal(t, 1, retain(t, l, 22, 4, partition.Retention{Delete: true, Time: 11 * time.Millisecond, Bytes: -1}))
	require.EqualValues(t, 2, l.LogStartOffset())
}
