package partition_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

var shapes = []struct{ records, size int }{{1, 1024}, {16, 1024}, {1000, 100}, {255, 4096}}

func BenchmarkAppend(b *testing.B) {
	for _, shape := range shapes {
		for _, disk := range []string{"mem", "os"} {
			b.Run(fmt.Sprintf("disk=%s/batch=%d/size=%d", disk, shape.records, shape.size), func(b *testing.B) {
				l := open(b, benchDisk(b, disk), partition.Config{})
				batch := batchtest.Sized(shape.records, shape.size)
				b.SetBytes(int64(len(batch)))
				b.ReportAllocs()
				n := int64(0)
				for b.Loop() {
					if n++; l.Size() > 256<<20 { // keep the disk small: that is not the question
						if err := l.Reset(l.LogEndOffset()); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := l.AppendAsLeader(batch, 0, now); err != nil {
						b.Fatal(err)
					}
				}
				require.Equal(b, n*int64(shape.records), l.LogEndOffset())
				b.ReportMetric(float64(n)*float64(shape.records)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, disk := range []string{"mem", "os"} {
		b.Run("disk="+disk, func(b *testing.B) {
			l := open(b, benchDisk(b, disk), partition.Config{})
			batch := batchtest.Sized(16, 1024)
			for range 4000 {
				if _, err := l.AppendAsLeader(batch, 0, now); err != nil {
					b.Fatal(err)
				}
			}
			var buf []byte
			var total, from int64
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = l.Read(buf[:0], from, l.LogEndOffset(), 1<<20, true); err != nil {
					b.Fatal(err)
				}
				total += int64(len(buf))
				from = (from + 1000) % l.LogEndOffset()
			}
			require.Positive(b, total)
			b.SetBytes(total / int64(b.N))
		})
	}
}

// BenchmarkTail is a follower that fetches each batch as it is appended.
func BenchmarkTail(b *testing.B) {
	l := open(b, vfs.NewMem(1), partition.Config{SegmentBytes: 64 << 20})
	batch := batchtest.Sized(16, 1024)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		info, err := l.AppendAsLeader(batch, 0, now)
		if err != nil {
			b.Fatal(err)
		}
		if buf, err = l.Read(buf[:0], info.BaseOffset, info.LastOffset+1, 1<<20, true); err != nil || len(buf) != len(batch) {
			b.Fatal(err, len(buf))
		}
		if l.Size() > 256<<20 {
			if err := l.Reset(l.LogEndOffset()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchDisk(b *testing.B, kind string) vfs.FS {
	if kind == "mem" {
		return vfs.NewMem(1)
	}
	disk, err := vfs.NewOS(b.TempDir())
	require.NoError(b, err)
	return disk
}

var countAllocations = true

func TestTheSteadyStateAllocatesNothing(t *testing.T) {
	for c := codec.None; c <= codec.ZSTD; c++ {
		for _, kind := range []string{"leader", "follower"} {
			t.Run(fmt.Sprint(c, "/", kind), func(t *testing.T) {
				l := open(t, vfs.NewMem(1), partition.Config{IndexIntervalBytes: 1 << 20})
				spec := batchtest.Spec{Codec: c, Records: make([]batchtest.Record, 20), Producer: &batchtest.Producer{ID: 3}}
				batch := spec.Bytes()
				var buf []byte
				sequence := int32(0)
				step := func() {
					var err error
					end := l.LogEndOffset()
					if kind == "leader" {
						put32(batch, 53, uint32(sequence))
						sequence += 20
						batchtest.Seal(batch)
						_, err = l.AppendAsLeader(batch, 0, now)
					} else {
						partition.Batch(batch).SetBaseOffset(end)
						_, err = l.AppendAsFollower(batch, 0)
					}
					if err != nil {
						t.Fatal(err)
					}
					if buf, err = l.Read(buf[:0], end, end+20, 1<<20, true); err != nil || len(buf) != len(batch) {
						t.Fatal(err, len(buf))
					}
				}
				for range 20 {
					step()
				}
				limit := 0.5 // now and then a chunk of the disk
				if kind == "leader" && (c == codec.LZ4 || c == codec.Gzip) {
					limit = 2 // the libraries' own
				}
				if n := testing.AllocsPerRun(300, step); countAllocations {
					require.LessOrEqual(t, n, limit)
				}
			})
		}
	}
}

// BenchmarkConcurrentAppend is many producers at one log: what is staged during a
// write is for the next one.
func BenchmarkConcurrentAppend(b *testing.B) {
	for _, size := range []int{1, 16} {
		for _, who := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("disk=os/batch=%d/appenders=%d", size, who), func(b *testing.B) {
				l := open(b, benchDisk(b, "os"), partition.Config{})
				b.SetBytes(int64(len(batchtest.Sized(size, 1<<10))))
				b.ReportAllocs()
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ResetTimer()
				var all sync.WaitGroup
				for range who {
					all.Go(func() {
						batch := batchtest.Sized(size, 1<<10)
						for left.Add(-1) >= 0 {
							if _, err := l.AppendAsLeader(batch, 0, now); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				require.EqualValues(b, b.N*size, l.LogEndOffset())
			})
		}
	}
}
