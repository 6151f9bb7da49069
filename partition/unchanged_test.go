package partition_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// Of the segments of a log only those are written anew in which something is obsolete,
// or a tombstone's time begins or ends.
func TestASegmentThatWouldNotChangeIsLeftAlone(t *testing.T) {
	disk := &limited{FS: vfs.NewMem(0), left: 1 << 30, err: syscall.ENOSPC}
	l := segments(t, disk, list(batch("a=1", "b=1")), list(batch("c=1"), batch("d=1")), list(batch("e!")), list(batch("b=2")), list(batch("z=1")))
	l.SetConfig(partition.Config{SegmentBytes: 1}) // nothing is put together
	how := partition.Compaction{DeleteRetention: time.Minute}

	done := compact(t, l, now, how)
	require.Equal(t, 2, done.SegmentsBefore, "b=1 goes, and the time of e! begins")
	require.EqualValues(t, 3, done.RecordsBefore)
	require.EqualValues(t, 2, done.RecordsAfter)
	left := []string{"0:a=1", "2:c=1", "3:d=1", "4:e!", "5:b=2", "6:z=1"}
	require.Equal(t, left, words(t, l))

	disk.left = 0 // from here on whatever changes the disk fails
	done = compact(t, l, now.Add(time.Second), how)
	require.Equal(t, partition.Compacted{To: done.To}, done)
	require.EqualValues(t, 6, done.To, "all the same it is clean up to there")
	require.Equal(t, left, words(t, l))

	disk.left = 1 << 30
	done = compact(t, l, now.Add(2*time.Minute), how)
	require.Equal(t, 1, done.SegmentsBefore, "e! goes")
	require.Equal(t, []string{"0:a=1", "2:c=1", "3:d=1", "5:b=2", "6:z=1"}, words(t, l))

}

// What has been gone through, and is written after all, is counted once, and keeps the
// first batch of each epoch.
func TestASegmentThatChangesAtItsEnd(t *testing.T) {
	l := segments(t, vfs.NewMem(0), list(inEpoch(1, "a=1"), inEpoch(2, "b=1"), inEpoch(3, "b=2")), list(inEpoch(3, "z=1")))
	done := compact(t, l, now, partition.Compaction{})
	require.EqualValues(t, 3, done.RecordsBefore)
	require.Equal(t, []string{"0:a=1", "2:b=2", "3:z=1"}, words(t, l))
	b, err := l.Read(nil, 0, l.LogEndOffset(), 1<<20, true)
	require.NoError(t, err)
	var epochs []int32
	for batch := range partition.Batches(b) {
		epochs = append(epochs, batch.LeaderEpoch())
	}
	require.Equal(t, []int32{1, 2, 3, 3}, epochs)
}

func inEpoch(epoch int32, words ...string) batchtest.Spec {
	b := batch(words...)
	b.LeaderEpoch = epoch
	return b
}
