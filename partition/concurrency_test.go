package partition_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// Readers run beside one writer that appends, cuts off and appends again. Whatever
// they read is a stretch of the log as it was at one moment: every batch is whole,
// follows the one before, and carries the epoch that its offset had.
func TestReadersBesideAWriter(t *testing.T) {
	for name, disk := range map[string]func(t *testing.T) vfs.FS{
		"memory": func(*testing.T) vfs.FS { return vfs.NewMem(1) },
		"files": func(t *testing.T) vfs.FS {
			disk, err := vfs.NewOS(t.TempDir())
			require.NoError(t, err)
			return disk
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, disk(t), partition.Config{SegmentBytes: 2000, IndexIntervalBytes: 100})
			var done atomic.Bool
			var readers sync.WaitGroup
			for range 3 {
				readers.Go(func() { readAlong(t, l, &done) })
			}
			for round := range 40 {
				for i := range 30 {
					if _, err := l.AppendAsLeader(batchtest.NewBatch(fmt.Sprint(round, i)), int32(round), now); err != nil {
						t.Error(err)
					}
				}
				if _, err := l.Truncate(l.LogEndOffset() - int64(round%25)); err != nil {
					t.Error(err)
				}
			}
			if err := l.Reset(5000); err != nil {
				t.Error(err)
			}
			done.Store(true)
			readers.Wait()
		})
	}
}

func readAlong(t *testing.T, l *partition.Log, done *atomic.Bool) {
	var buf []byte
	var from int64
	for !done.Load() {
		end := l.LogEndOffset()
		got, err := l.Read(buf[:0], from, end, 3000, true)
		if errors.Is(err, metadata.ErrOffsetOutOfRange) {
			from = l.LogStartOffset() // it was cut off, or reset
			continue
		}
		if err != nil {
			t.Error(err)
			return
		}
		next, n := from, 0
		for b := range partition.Batches(got) {
			if b.BaseOffset() != next || b.CRC() != b.Checksum() {
				t.Errorf("offset %d instead of %d, or a wrong checksum", b.BaseOffset(), next)
				return
			}
			next, n = b.NextOffset(), n+len(b)
		}
		if n != len(got) {
			t.Errorf("%d bytes are no batch", len(got)-n)
		}
		if from = next; from == end {
			from = max(0, end-20)
		}
		buf = got
		l.EndOffsetForEpoch(l.LatestEpoch() - 1)
		l.Size()
	}
}

func TestWritersTakeTurns(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{SegmentBytes: 1000})
	var writers sync.WaitGroup
	var seen sync.Map
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				info, err := l.AppendAsLeader(batchtest.NewBatch(fmt.Sprint(w, "-", i), "second"), 0, now)
				if err != nil {
					t.Error(err)
					return
				}
				seen.Store(info.BaseOffset, fmt.Sprint(w, "-", i))
			}
		})
	}
	writers.Wait()
	all := values(t, l, 0)
	require.Len(t, all, 400)
	for offset := int64(0); offset < 400; offset += 2 {
		want, ok := seen.Load(offset)
		require.True(t, ok)
		require.Equal(t, want, all[offset])
	}
}

// A slow disk holds up writers, and nobody else; nothing is shown before its write
// has returned.
func TestReadersDoNotWaitForASlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		l := open(t, vfs.WithFaults(vfs.NewMem(1), &faults), partition.Config{FlushMessages: 1})
		appendTo(t, l, 0, "a")
		faults.SlowBy(time.Second, time.Minute)
		begin := time.Now()
		var writer sync.WaitGroup
		writer.Go(func() { appendTo(t, l, 0, "b") })
		for _, wait := range []time.Duration{0, time.Second, 30 * time.Second} {
			time.Sleep(wait)
			require.EqualValues(t, 1, l.LogEndOffset())
			require.Equal(t, []string{"a"}, values(t, l, 0))
			require.EqualValues(t, 0, l.LatestEpoch())
		}
		writer.Wait()
		require.GreaterOrEqual(t, time.Since(begin), 61*time.Second)
		require.Equal(t, []string{"a", "b"}, values(t, l, 0))
	})
}
