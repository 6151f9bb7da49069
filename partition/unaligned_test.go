package partition_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// A follower that begins where its leader's log starts, within a batch, takes that
// batch, and starts where it began.
func TestAFollowerBeginsWithinABatch(t *testing.T) {
	disk := vfs.NewMem(1)
	l := open(t, disk, partition.Config{})
	require.NoError(t, l.Reset(5))
	batch := batchtest.At(3, 0, "c", "d", "e", "f")
	_, err := l.AppendAsFollower(batchtest.At(1, 0, "a", "b", "c", "d"), 0)
	require.ErrorIs(t, err, metadata.ErrCorruptMessage, "it ends where the log does")
	_, err = l.AppendAsFollower(batch, 0)
	require.NoError(t, err)
	require.Equal(t, []int64{5, 7}, []int64{l.LogStartOffset(), l.LogEndOffset()})
	require.Equal(t, []string{"c", "d", "e", "f"}, values(t, l, 5), "whole batches only")
	_, err = l.Read(nil, 4, 7, 100, true)
	require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
	require.Equal(t, []partition.EpochStart{{Epoch: 0, Offset: 3}}, l.Epochs())
	_, err = l.AppendAsFollower(batchtest.At(6, 0, "f", "g"), 0)
	require.ErrorIs(t, err, metadata.ErrCorruptMessage, "only an empty log makes room")

	// The files tell where the batch begins; the broker must know the rest.
	require.NoError(t, l.Sync())
	disk.PowerLoss()
	l, found := reopen(t, l, disk, partition.Config{})
	require.Equal(t, partition.Recovery{LogStartOffset: 3, LogEndOffset: 7}, found)
	require.NoError(t, l.SetLogStart(5))
	require.Equal(t, []string{"g"}, valuesAfter(t, l, "g"))
}

func valuesAfter(t *testing.T, l *partition.Log, value string) []string {
	end := l.LogEndOffset()
	_, err := l.AppendAsFollower(batchtest.At(end, 0, value), 0)
	require.NoError(t, err)
	return values(t, l, end)
}

// A log whose start lies within the batch that is cut off does not start earlier
// than it did: nothing is left of it, and it goes on at its start.
func TestTruncationWithinTheFirstBatchKeepsTheStart(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	appendTo(t, l, 0, "a", "b")
	appendTo(t, l, 0, "c", "d", "e", "f")
	appendTo(t, l, 1, "g")
	require.NoError(t, l.SetLogStart(3))
	from, err := l.Truncate(5)
	require.NoError(t, err)
	require.EqualValues(t, 7, from)
	require.Equal(t, []int64{3, 3}, []int64{l.LogStartOffset(), l.LogEndOffset()})
	require.Empty(t, l.Epochs())
	_, err = l.AppendAsFollower(batchtest.At(2, 2, "c", "x"), 2)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 4}, []int64{l.LogStartOffset(), l.LogEndOffset()})
}

// A producer whose records were deleted is known all the same: what it sends again is
// no new record, not even when the files are gone.
func TestProducersOfDeletedRecordsAreKnown(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{SegmentBytes: 100})
	p := sender{t, l, 7, 0}
	first := p.ok(0, 2)
	last := p.ok(2, 3)
	require.NoError(t, l.SetLogStart(5))
	p.duplicate(2, 3, last)
	removed, err := l.Retain(now, 5, partition.Retention{Time: -1, Bytes: -1})
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	p.duplicate(0, 2, first)
	p.refused(6, 1, metadata.ErrOutOfOrderSequenceNumber)
	require.EqualValues(t, 5, p.ok(5, 1).BaseOffset)
}

// A log whose records are all deleted has batches all the same, and knows the last one's
// epoch, however it came to that: a power failure does not set back its end.
func TestWhatLiesBelowTheStartHasAnEpoch(t *testing.T) {
	for name, cutOff := range map[string]func(l *partition.Log){
		"nothing":                  func(*partition.Log) {},
		"an epoch without records": func(l *partition.Log) { require.NoError(t, l.StartEpoch(3)) },
		"a batch":                  func(l *partition.Log) { appendTo(t, l, 1, "c") },
		"segments":                 func(l *partition.Log) { appendTo(t, l, 2, "c"); appendTo(t, l, 3, "d"); appendTo(t, l, 3, "e") },
	} {
		for _, checkpoint := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/checkpoint=%t", name, checkpoint), func(t *testing.T) {
				disk, cfg := vfs.NewMem(0), partition.Config{SegmentBytes: 2*one + 10}
				l := open(t, disk, cfg)
				require.NoError(t, l.StartEpoch(0))
				disk.PowerLoss()
				l = open(t, disk, cfg)
				appendTo(t, l, 0, "a")
				appendTo(t, l, 1, "b")
				cutOff(l)
				require.NoError(t, l.Sync())
				require.NoError(t, l.SetLogStart(2))
				_, err := l.Truncate(2)
				require.NoError(t, err)
				require.Equal(t, []partition.EpochStart{{Epoch: 1, Offset: 2}}, l.Epochs())
				if checkpoint {
					require.NoError(t, l.Checkpoint(now))
				}
				disk.PowerLoss()
				l, found, err := partition.Open(disk, dir, cfg)
				require.NoError(t, err)
				defer l.Close()
				require.Equal(t, partition.Recovery{LogEndOffset: 2}, found)
				require.Equal(t, []partition.EpochStart{{Epoch: 0, Offset: 0}, {Epoch: 1, Offset: 1}}, l.Epochs())
			})
		}
	}
}
