package partition_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// A log that ends below its recovery point has lost what was durable, though what
// is left is sound.
func TestALogThatEndsBelowItsRecoveryPointIsDamaged(t *testing.T) {
	for _, drop := range []int{one, 3 * one} {
		disk := three(t, partition.Config{})
		l := open(t, disk, partition.Config{})
		require.NoError(t, l.Checkpoint(now))
		require.NoError(t, l.Close())
		edit(t, disk, firstLog, func(b []byte) []byte { return b[:len(b)-drop] })
		l, found, err := partition.Open(disk, dir, partition.Config{})
		require.NoError(t, err)
		require.Len(t, found.Corrupt, 1)
		require.EqualValues(t, 3-drop/one, found.LogEndOffset)
		l, found = reopen(t, l, disk, partition.Config{})
		require.Empty(t, found.Corrupt)
		require.NoError(t, l.Close())
	}
	disk := three(t, partition.Config{})
	l := open(t, disk, partition.Config{})
	require.NoError(t, l.Checkpoint(now))
	require.NoError(t, l.Close())
	require.NoError(t, disk.Remove(firstLog))
	l, found, err := partition.Open(disk, dir, partition.Config{})
	require.NoError(t, err)
	defer l.Close()
	require.Len(t, found.Corrupt, 1, "all segments are missing")
}

// The last batch of a segment is looked at even where nothing else is.
func TestDamageAtTheEndOfASegmentIsFound(t *testing.T) {
	disk := vfs.NewMem(0)
	cfg := partition.Config{SegmentBytes: 3 * one, IndexIntervalBytes: 1}
	l := open(t, disk, cfg)
	for range 7 {
		appendTo(t, l, 1, "a")
	}
	require.NoError(t, l.Close())
	edit(t, disk, firstLog, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	defer l.Close()
	require.Len(t, found.Corrupt, 1)
	require.EqualValues(t, 2, found.LogEndOffset)
}

// What a checkpoint noted of the active segment does not outlive a truncation, even
// if the segment grows to the same size again.
func TestACheckpointIsOfWhatIsThere(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{})
	at := func(ms int64) []byte {
		s := batchtest.Spec{Records: []batchtest.Record{{Value: []byte("a"), Timestamp: batchtest.Timestamp + ms}}}
		return s.Bytes()
	}
	for _, ms := range []int64{0, 90} {
		_, err := l.AppendAsLeader(at(ms), 1, now)
		require.NoError(t, err)
	}
	require.NoError(t, l.Checkpoint(now))
	_, err := l.Truncate(1)
	require.NoError(t, err)
	_, err = l.AppendAsLeader(at(7), 1, now)
	require.NoError(t, err)
	want := times(t, l)
	require.NoError(t, l.Checkpoint(now))
	l, _ = reopen(t, l, disk, partition.Config{})
	require.EqualValues(t, 2, l.RecoveryPoint())
	require.Equal(t, want, times(t, l))
}

// A log that starts at its end has a recovery point, and its epoch.
func TestALogThatStartsAtItsEnd(t *testing.T) {
	disk := three(t, partition.Config{})
	l := open(t, disk, partition.Config{})
	require.NoError(t, l.SetLogStart(3))
	require.NoError(t, l.Checkpoint(now))
	l, found := reopen(t, l, disk, partition.Config{})
	require.Equal(t, partition.Recovery{LogEndOffset: 3}, found)
	require.EqualValues(t, 3, l.RecoveryPoint())
	require.Equal(t, []partition.EpochStart{{Epoch: 1, Offset: 0}, {Epoch: 2, Offset: 2}}, l.Epochs())
}

// Where offsets are missing a log may end, and a segment begin, above the batch
// before it.
func TestARecoveryPointInAGap(t *testing.T) {
	cfg := partition.Config{Compacted: true, SegmentBytes: 3 * one, IndexIntervalBytes: 1}
	disk := vfs.NewMem(0)
	l := open(t, disk, cfg)
	for _, offset := range []int64{0, 5, 9, 20, 30, 31, 40} {
		_, err := l.AppendAsFollower(batchtest.At(offset, 1, "a"), 1)
		require.NoError(t, err)
	}
	_, err := l.Truncate(37)
	require.NoError(t, err)
	require.NoError(t, l.Checkpoint(now))
	l, found := reopen(t, l, disk, cfg)
	require.Equal(t, partition.Recovery{LogEndOffset: 37}, found)
	require.EqualValues(t, 37, l.RecoveryPoint())
	_, err = l.AppendAsFollower(batchtest.At(40, 1, "a"), 1)
	require.NoError(t, err)

	// No offset that is missing tells that a segment lacks a batch: the snapshot does.
	require.NoError(t, l.Close())
	edit(t, disk, firstLog, func(b []byte) []byte { return append(b[:one:one], b[2*one:]...) })
	l, found, err = partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	defer l.Close()
	require.EqualValues(t, 1, found.LogEndOffset, "behind the hole nothing counts")
	require.Len(t, found.Corrupt, 1)
	require.Len(t, values(t, l, 0), 1)
}

// Whatever was behind the entries of an index is not there for Kafka's tools either.
func TestIndexFilesEndWithTheirEntries(t *testing.T) {
	disk := vfs.NewMem(0)
	cfg := partition.Config{SegmentBytes: 4 * one, IndexIntervalBytes: 1}
	l := open(t, disk, cfg)
	for range 11 {
		appendTo(t, l, 1, "a")
	}
	require.NoError(t, l.Close())
	sizes := func() (all []int) {
		names, err := disk.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, "index") {
				b, err := vfs.ReadFile(disk, dir+"/"+name)
				require.NoError(t, err)
				all = append(all, len(b))
			}
		}
		return all
	}
	want := sizes()
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "index") {
			edit(t, disk, dir+"/"+name, func(b []byte) []byte { return append(b, "more than there was"...) })
		}
	}
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	require.Equal(t, partition.Recovery{LogEndOffset: 11}, found)
	require.NoError(t, l.Close())
	require.Equal(t, want, sizes())
}
