package partition_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// Everybody uses a log while it is compacted again and again: one appends, one cuts
// its end off now and then, others read. Whatever is read is whole and in order, and
// nothing is found to be damaged.
func TestALogIsUsedWhileItIsCompacted(t *testing.T) {
	for name, disk := range map[string]func(t *testing.T) vfs.FS{
		"memory": func(*testing.T) vfs.FS { return vfs.NewMem(1) },
		"files": func(t *testing.T) vfs.FS {
			disk, err := vfs.NewOS(t.TempDir())
			require.NoError(t, err)
			return disk
		},
	} {
		t.Run(name, func(t *testing.T) {
			at, appends := disk(t), 3000
			if name == "files" {
				appends = 150 // each roll and each swap is synced
			}
			cfg := partition.Config{SegmentBytes: 1000, IndexIntervalBytes: 100, Compacted: true}
			l := open(t, at, cfg)
			var done atomic.Bool
			var committed atomic.Int64
			var others sync.WaitGroup
			for range 2 {
				others.Go(func() {
					for !done.Load() {
						if _, err := l.OffsetForTime(now.UnixMilli()); err != nil {
							t.Error(err)
						}
						readWhole(t, l)
					}
				})
			}
			var swaps atomic.Int64
			others.Go(func() {
				cleaner, clean := partition.NewCleaner(1<<16), int64(0)
				for !done.Load() {
					got, err := cleaner.Compact(l, now, partition.Compaction{FirstDirty: clean, Committed: committed.Load()})
					if err != nil {
						require.ErrorIs(t, err, partition.ErrGivenUp)
					}
					clean = got.To
					swaps.Add(int64(got.SegmentsLeft))
				}
			})
			for i := 0; i < appends || swaps.Load() == 0; i++ { // the cleaner has its turn, however busy the machine
				s := batch(fmt.Sprintf("%d=%d", i%7, i), fmt.Sprintf("%d=%d", i%5, i))
				_, err := l.AppendAsLeader(s.Bytes(), 0, now)
				require.NoError(t, err)
				if i%50 == 49 {
					_, err := l.Truncate(l.LogEndOffset() - int64(i%7))
					require.NoError(t, err)
				}
				committed.Store(max(0, l.LogEndOffset()-10))
			}
			done.Store(true)
			others.Wait()
			before := words(t, l)
			l, found := reopen(t, l, at, cfg)
			require.Empty(t, found.Corrupt)
			require.Equal(t, before, words(t, l))
			compact(t, l, now, partition.Compaction{})
		})
	}
}

func readWhole(t *testing.T, l *partition.Log) {
	next := int64(0)
	for next < l.LogEndOffset() {
		b, err := l.Read(nil, next, math.MaxInt64, 2000, true)
		if errors.Is(err, metadata.ErrOffsetOutOfRange) {
			return // its end was cut off, and it may have grown again since
		}
		if err != nil {
			t.Error(err)
			return
		}
		for batch := range partition.Batches(b) {
			if batch.NextOffset() <= next || batch.CRC() != batch.Checksum() {
				t.Errorf("batch %d to %d after %d", batch.BaseOffset(), batch.LastOffset(), next)
			}
			next = batch.NextOffset()
		}
	}
}
