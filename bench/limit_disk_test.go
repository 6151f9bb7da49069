package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What does the machine allow? The least that anybody must do who writes to a disk, in
// the same run and on the same disk as what is compared with it.
//
// of=write is write(2) in chunks of 256 KiB into fresh files, the page cache's speed and
// not the device's; of=fsync is 4 KiB written and synced; of=read is read(2) of 1 MiB of what
// was written just now.
func BenchmarkLimitDisk(b *testing.B) {
	b.Run("of=write", rawWrites)
	b.Run("of=fsync", rawFsyncs)
	b.Run("of=read", rawReads)
}

const (
	rawChunk = 256 << 10
	fileSize = 256 << 20 // then another file begins
)

func rawWrites(b *testing.B) { rawWritesOf(b, rawChunk) }

func rawWritesOf(b *testing.B, size int) {
	w := freshFiles{dir: b.TempDir(), limit: fileSize}
	defer w.close()
	chunk := make([]byte, size)
	fill(chunk)
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := w.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	require.EqualValues(b, b.N*size, w.total)
}

func rawFsyncs(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "synced"))
	require.NoError(b, err)
	defer f.Close()
	block := make([]byte, 4<<10)
	for b.Loop() {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fsyncs/s")
}

func rawReads(b *testing.B) {
	w := freshFiles{dir: b.TempDir(), limit: 1 << 40}
	defer w.close()
	piece := make([]byte, 1<<20)
	fill(piece)
	for range fileSize / len(piece) {
		_, err := w.Write(piece)
		require.NoError(b, err)
	}
	b.SetBytes(int64(len(piece)))
	at, sum := int64(0), int64(0)
	for b.Loop() {
		n, err := w.file.ReadAt(piece, at)
		if err != nil {
			b.Fatal(err)
		}
		sum += int64(n)
		at = (at + int64(n)) % fileSize
	}
	require.EqualValues(b, b.N*len(piece), sum)
}

// freshFiles writes one file after the other, of limit bytes each, and removes those
// that are full: how far the page cache is behind is not the question.
type freshFiles struct {
	dir          string
	limit        int64
	file         *os.File
	total, since int64
}

func (w *freshFiles) Write(p []byte) (int, error) {
	if w.file == nil || w.since+int64(len(p)) > w.limit {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n, err := w.file.Write(p)
	w.total += int64(n)
	w.since += int64(n)
	return n, err
}

func (w *freshFiles) next() (err error) {
	w.close()
	w.since = 0
	w.file, err = os.CreateTemp(w.dir, "raw")
	return err
}

func (w *freshFiles) close() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
	}
}

// fill makes bytes that are not all the same.
func fill(p []byte) {
	for i := range p {
		p[i] = byte(i * 2654435761 >> 7)
	}
}
