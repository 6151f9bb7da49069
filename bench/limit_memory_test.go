package bench

import (
	"hash/crc32"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// What does the memory allow? of=copy moves 16 KiB at a time into 256 MiB that are not
// in the caches, of=crc is CRC-32C of the same bytes, of=touch writes to memory that the
// operating system has to hand out first, which is what growing costs.
func BenchmarkLimitMemory(b *testing.B) {
	b.Run("of=copy", func(b *testing.B) {
		to := newRing(b)
		for b.Loop() {
			to.copy()
		}
	})
	b.Run("of=crc", func(b *testing.B) {
		to := newRing(b)
		for b.Loop() {
			to.crc()
		}
		require.NotZero(b, to.sum)
	})
	b.Run("of=touch", func(b *testing.B) {
		b.SetBytes(fileSize)
		for b.Loop() {
			b.StopTimer()
			debug.FreeOSMemory()
			b.StartTimer()
			fresh := make([]byte, fileSize)
			for at := 0; at < len(fresh); at += 4 << 10 {
				fresh[at] = 1
			}
		}
	})
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A ring takes copies of one batch of 16 KiB.
type ring struct {
	batch, to []byte
	at        int
	sum       uint32
}

func newRing(b *testing.B) *ring {
	r := &ring{batch: make([]byte, 16<<10), to: make([]byte, fileSize)}
	fill(r.batch)
	fill(r.to) // touched
	b.SetBytes(int64(len(r.batch)))
	return r
}

func (r *ring) copy() {
	copy(r.to[r.at:], r.batch)
	r.at = (r.at + len(r.batch)) % len(r.to)
}

func (r *ring) crc() { r.sum ^= crc32.Update(r.sum, castagnoli, r.batch) }
