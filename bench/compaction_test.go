package bench

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

const (
	compactedBytes = 256 << 20
	perBatch       = 16 // records of 1 KiB
)

// How fast is a log on disk compacted: 256 MiB of updates of a tenth as many keys, and
// of records that all stay, where nothing is written? of-raw is that speed beside the least that could be done:
// to read every byte once, to compute checksums, and to write what stays, synced.
func BenchmarkCompaction(b *testing.B) {
	records := compactedBytes / (perBatch * 1024) * perBatch
	for name, keys := range map[string]int{"keys=10%": records / 10, "keys=all": records} {
		b.Run(name, func(b *testing.B) {
			var raw, compacted time.Duration
			var size int64
			for b.Loop() {
				b.StopTimer()
				dir := b.TempDir()
				l := fillLog(b, dir, records, keys)
				files := sealedFiles(b, dir)
				began := time.Now()
				size = readAndSum(b, files)
				reading := time.Since(began)

				b.StartTimer()
				began = time.Now()
				done, err := partition.NewCleaner(128<<20).Compact(l, time.Now(), partition.Compaction{Committed: l.LogEndOffset()})
				compacted += time.Since(began)
				b.StopTimer()
				require.NoError(b, err)
				require.EqualValues(b, records, done.To)
				if keys < records {
					require.EqualValues(b, records, done.RecordsBefore)
					require.EqualValues(b, keys, done.RecordsAfter)
					require.Equal(b, size, done.BytesBefore)
				} else {
					require.Zero(b, done.BytesBefore, "nothing is obsolete, and so nothing written")
				}
				requireNewest(b, l, records, keys)
				require.NoError(b, l.Close())

				began = time.Now()
				writeSynced(b, filepath.Join(dir, "rest"), done.BytesAfter)
				raw += reading + time.Since(began)
				require.NoError(b, os.RemoveAll(dir))
				b.StartTimer()
			}
			b.SetBytes(size)
			b.ReportMetric(float64(size)*float64(b.N)/1e6/compacted.Seconds(), "MB/s")
			b.ReportMetric(raw.Seconds()/compacted.Seconds(), "of-raw")
		})
	}
}

// fillLog makes a log whose records go round the keys, and an active segment behind.
func fillLog(b *testing.B, dir string, records, keys int) *partition.Log {
	disk, err := vfs.NewOS(dir)
	require.NoError(b, err)
	l, _, err := partition.Open(disk, "orders-0", partition.Config{SegmentBytes: 64 << 20})
	require.NoError(b, err)
	spec := batchtest.Spec{Records: make([]batchtest.Record, perBatch)}
	for i := range spec.Records {
		spec.Records[i] = batchtest.Record{Key: make([]byte, 8), Value: make([]byte, 1000)}
	}
	for at := 0; at < records; at += perBatch {
		for i, r := range spec.Records {
			binary.BigEndian.PutUint64(r.Key, uint64((at+i)%keys))
			binary.BigEndian.PutUint64(r.Value, uint64(at+i))
		}
		_, err := l.AppendAsLeader(spec.Bytes(), 0, time.Now())
		require.NoError(b, err)
	}
	l.SetConfig(partition.Config{SegmentBytes: 200}) // roll
	_, err = l.AppendAsLeader(batchtest.NewBatch("active"), 0, time.Now())
	require.NoError(b, err)
	l.SetConfig(partition.Config{SegmentBytes: 64 << 20})
	return l
}

func sealedFiles(b *testing.B, dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, "orders-0", "*.log"))
	require.NoError(b, err)
	slices.Sort(files)
	return files[:len(files)-1]
}

func readAndSum(b *testing.B, files []string) (n int64) {
	buf, table, sum := make([]byte, 1<<20), crc32.MakeTable(crc32.Castagnoli), uint32(0)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(b, err)
		for {
			k, err := f.Read(buf)
			sum = crc32.Update(sum, table, buf[:k])
			n += int64(k)
			if err == io.EOF {
				break
			}
			require.NoError(b, err)
		}
		require.NoError(b, f.Close())
	}
	require.NotZero(b, sum)
	return n
}

func writeSynced(b *testing.B, name string, n int64) {
	f, err := os.Create(name)
	require.NoError(b, err)
	defer f.Close()
	buf := make([]byte, 1<<20)
	for n > 0 {
		k, err := f.Write(buf[:min(n, int64(len(buf)))])
		require.NoError(b, err)
		n -= int64(k)
	}
	require.NoError(b, f.Sync())
}

// requireNewest reads the log: each key must be there once, with the last value.
func requireNewest(b *testing.B, l *partition.Log, records, keys int) {
	from, seen := int64(0), 0
	var buf []byte
	for from < int64(records) {
		var err error
		buf, err = l.Read(buf[:0], from, l.LogEndOffset(), 4<<20, true)
		require.NoError(b, err)
		for batch := range partition.Batches(buf) {
			from = batch.NextOffset()
			seen += int(batch.Count())
		}
	}
	require.Equal(b, keys+1, seen, "and the active one")
}
