package bench

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// How near to the machine's limit is an append to a log? as=log stands beside as=limit: on
// disk write(2) of 256 KiB chunks into fresh files, in memory CRC-32C and one copy of the
// same bytes. as=call is write(2) of as much as a log can write at a time if every appender waits
// for his batch: what the price of a call leaves of the limit, whoever makes it. An operation is
// one batch, or one write. What is above 256 MiB is taken away again on both sides.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("on=disk/batch=%dKiB/appenders=1", size>>10), func(b *testing.B) {
			b.Run("as=log", func(b *testing.B) { appendAlone(b, onDisk(b), size) })
			b.Run("as=call", func(b *testing.B) { rawWritesOf(b, size) })
			b.Run("as=limit", rawWrites)
		})
	}
	b.Run("on=disk/batch=1KiB/appenders=16", func(b *testing.B) {
		b.Run("as=log", func(b *testing.B) { appendTogether(b, onDisk(b), 1<<10, 16) })
		b.Run("as=call", func(b *testing.B) { rawWritesOf(b, 16<<10) })
		b.Run("as=limit", rawWrites)
	})
	b.Run("on=memory/batch=16KiB/appenders=1", func(b *testing.B) {
		b.Run("as=log", func(b *testing.B) { appendAlone(b, touched(b), 16<<10) })
		b.Run("as=limit", func(b *testing.B) {
			to := newRing(b)
			for b.Loop() {
				to.crc()
				to.copy()
			}
		})
	})
}

func onDisk(b *testing.B) vfs.FS {
	disk, err := vfs.NewOS(b.TempDir())
	require.NoError(b, err)
	return disk
}

// touched is a disk in memory, in a process that has had before as much as will be written to it
// at a time, and what waits for the garbage collector beside it: the limit copies to memory
// that was touched before, too.
func touched(b *testing.B) vfs.FS {
	var before [][]byte
	for at := 0; at < 3*fileSize; at += 16 << 10 {
		before = append(before, bytes.Repeat([]byte{1}, 16<<10))
	}
	runtime.KeepAlive(before)
	runtime.GC()
	return vfs.NewMem(1)
}

func openEmpty(b *testing.B, disk vfs.FS) *partition.Log {
	l, _, err := partition.Open(disk, "orders-0", partition.Config{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, l.Close()) })
	return l
}

// batchOf is a batch of one record that is that large altogether, and the time at
// which it is not too old.
func batchOf(size int) ([]byte, time.Time) {
	batch := batchtest.Sized(1, size-(len(batchtest.Sized(1, size))-size))
	return batch, time.UnixMilli(batchtest.Timestamp)
}

func appendAlone(b *testing.B, disk vfs.FS, size int) {
	l := openEmpty(b, disk)
	batch, now := batchOf(size)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if l.Size() > fileSize {
			if err := l.Reset(l.LogEndOffset()); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := l.AppendAsLeader(batch, 0, now); err != nil {
			b.Fatal(err)
		}
	}
	require.EqualValues(b, b.N, l.LogEndOffset())
}

// appendTogether has appenders share the log's writes. Nothing is taken away: b.N is
// some hundred MiB.
func appendTogether(b *testing.B, disk vfs.FS, size, appenders int) {
	l := openEmpty(b, disk)
	batch, now := batchOf(size)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	b.SetParallelism(appenders / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		own := append([]byte(nil), batch...)
		for pb.Next() {
			if _, err := l.AppendAsLeader(own, 0, now); err != nil {
				b.Error(err)
				return
			}
		}
	})
	require.EqualValues(b, b.N, l.LogEndOffset())
	require.EqualValues(b, b.N*len(batch), l.Size())
}
