package partition_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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
