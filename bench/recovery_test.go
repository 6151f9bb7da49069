package bench

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// How fast does a broker start again after its process crashed? One log of 1 GiB, all
// of it in the active segment, so that all of it has to be read and checked; beside
// it, in turns, the least that anybody could do: read the same file in pieces of
// 1 MiB and compute the checksum of each batch. And how long does the same log take
// after a stop in good order?
func BenchmarkRecovery(b *testing.B) {
	const size, rounds = 1 << 30, 5
	root := b.TempDir()
	disk, err := vfs.NewOS(root)
	require.NoError(b, err)
	cfg := partition.Config{SegmentBytes: size + 1<<20}
	end := writeLog(b, disk, cfg, size)
	file := filepath.Join(root, "orders-0", "00000000000000000000.log")

	var recovering, reading, clean time.Duration
	n := 0
	for b.Loop() {
		for range rounds {
			n++
			reading += timed(func() { require.Equal(b, end, readChecked(b, file)) })
			var l *partition.Log
			recovering += timed(func() { l = openLog(b, disk, cfg, end) })
			require.NoError(b, l.Close())
		}
	}
	l := openLog(b, disk, cfg, end)
	require.NoError(b, l.Checkpoint(time.Now()))
	require.NoError(b, l.Close())
	for range rounds {
		clean += timed(func() { l = openLog(b, disk, cfg, end) })
		require.NoError(b, l.Close())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n)*size/1e9/recovering.Seconds(), "GB/s")
	b.ReportMetric(reading.Seconds()/recovering.Seconds(), "recovery/reading")
	b.ReportMetric(ms(clean)/rounds, "clean-ms")
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// openLog opens the log and checks that it is all there.
func openLog(b *testing.B, disk vfs.FS, cfg partition.Config, end int64) *partition.Log {
	l, found, err := partition.Open(disk, "orders-0", cfg)
	require.NoError(b, err)
	require.Equal(b, partition.Recovery{LogEndOffset: end}, found)
	return l
}

// writeLog writes a log of that size in batches of 16 KiB, from an idempotent
// producer and from others, and returns its end.
func writeLog(b *testing.B, disk vfs.FS, cfg partition.Config, size int64) (end int64) {
	l, _, err := partition.Open(disk, "orders-0", cfg)
	require.NoError(b, err)
	defer l.Close()
	var kinds [][]byte
	for i := range 64 {
		s := batchtest.Spec{LeaderEpoch: 1, Producer: &batchtest.Producer{ID: int64(i % 8)}}
		for j := range 64 {
			s.Records = append(s.Records, batchtest.Record{
				Key: fmt.Appendf(nil, "customer-%06d", i*7919+j),
				Value: fmt.Appendf(nil, `{"order":%09d,"at":"2026-01-02T15:04:05.%06dZ","sku":"%08x","amount":"%d.%02d","note":"%0128x"}`,
					i*64+j, j*j, i*j*2654435761, i+j, j, i*j),
				Timestamp: batchtest.Timestamp + int64(i),
			})
		}
		kinds = append(kinds, s.Bytes())
	}
	for l.Size()+1<<20 < size {
		var some []byte
		for _, k := range kinds {
			at := len(some)
			some = append(some, k...)
			partition.Batch(some[at:]).SetBaseOffset(end)
			end += 64
		}
		_, err := l.AppendAsFollower(some, 1)
		require.NoError(b, err)
	}
	require.NoError(b, l.Sync())
	return end
}

// readChecked reads the batches of a file and returns the offset behind the last.
func readChecked(b *testing.B, file string) (end int64) {
	f, err := os.Open(file)
	require.NoError(b, err)
	defer f.Close()
	table := crc32.MakeTable(crc32.Castagnoli)
	buf, have := make([]byte, 2<<20), 0
	for {
		n, err := f.Read(buf[have : have+1<<20])
		if n == 0 {
			require.Zero(b, have, err)
			return end
		}
		have += n
		at := 0
		for have-at >= partition.HeaderSize {
			batch := partition.Batch(buf[at:have])
			size := int(batch.Size())
			if size > have-at {
				break
			}
			if crc32.Checksum(batch[21:size], table) != binary.BigEndian.Uint32(batch[17:]) {
				b.Fatal("a checksum is wrong")
			}
			end = batch.NextOffset()
			at += size
		}
		have = copy(buf, buf[at:have])
	}
}
