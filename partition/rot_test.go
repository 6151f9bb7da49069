package partition_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A bit flips anywhere in the files of a log that is open. What is read is what was
// written, or an error: also where the checksum of the batch does not reach.
func TestRotBelowAnOpenLogIsNeverRead(t *testing.T) {
	w := grown(t)
	l, _, err := partition.Open(w.now, dir, w.cfg)
	require.NoError(t, err)
	defer l.Close()
	names, err := w.now.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if len(name) < 4 || name[len(name)-4:] != ".log" {
			continue
		}
		f, err := w.now.Open(dir + "/" + name)
		require.NoError(t, err)
		defer f.Close()
		size, err := f.Size()
		require.NoError(t, err)
		for at := range size {
			for bit := range 8 {
				flipped := make([]byte, 1)
				_, err := f.ReadAt(flipped, at)
				require.NoError(t, err)
				flipped[0] ^= 1 << bit
				_, err = f.WriteAt(flipped, at)
				require.NoError(t, err)
				caught := false
				for offset := l.LogStartOffset(); offset < l.LogEndOffset(); offset++ {
					b, err := l.Read(nil, offset, l.LogEndOffset(), 1, true)
					if err != nil {
						require.ErrorIs(t, err, metadata.ErrCorruptMessage)
						caught = true
						continue
					}
					require.Equal(t, w.batches[offset], b, "%s: bit %d of byte %d", name, bit, at)
				}
				require.True(t, caught, "%s: bit %d of byte %d", name, bit, at)
				flipped[0] ^= 1 << bit
				_, err = f.WriteAt(flipped, at)
				require.NoError(t, err)
			}
		}
	}
}

// Compaction copies no batch whose leader epoch has changed on the disk, which no checksum
// tells of: the new one would be sound, and wrong for good.
func TestCompactionDoesNotCopyARottedEpoch(t *testing.T) {
	disk := vfs.NewMem(0)
	l := segments(t, disk, list(batch("a=1"), batch("a=2")), list(batch("b=1"), batch("b=2")), list(batch("z=1")))
	defer l.Close()
	f, err := disk.Open(firstLog)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{1}, int64(len(batch("a=1").Bytes()))+15) // of the segment's last batch, so that no epoch goes back
	require.NoError(t, err)
	rotten, err := vfs.ReadFile(disk, firstLog)
	require.NoError(t, err)
	_, err = partition.NewCleaner(1<<20).Compact(l, now, partition.Compaction{Committed: l.LogEndOffset()})
	require.ErrorIs(t, err, metadata.ErrCorruptMessage)
	left, err := vfs.ReadFile(disk, firstLog)
	require.NoError(t, err)
	require.Equal(t, rotten, left)
}
