package peers

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A heap is what memory the process has when a load begins. The first touch of a page that
// the operating system has to hand out costs several times the write to it, and can be
// most of what is measured; so both are told apart.
type heap string

const (
	fresh heap = "new"  // everything is touched for the first time, as in a short go test
	used  heap = "used" // the process has had 2 GiB before
)

// prepare makes the heap so. Nobody owes the disk anything then: the kernel slows writers
// down, tenfold here, once a tenth of the memory is owed.
func (h heap) prepare() {
	syscall.Sync()
	if h == fresh {
		debug.FreeOSMemory()
		return
	}
	const chunk, page = 16 << 20, 4 << 10
	var held [128][]byte
	for i := range held {
		held[i] = make([]byte, chunk)
		for at := 0; at < chunk; at += page {
			held[i][at] = 1
		}
	}
	runtime.KeepAlive(held)
	clear(held[:])
	runtime.GC()
}

// touchPageCache has the kernel use as much memory for a file as three copies of a load are:
// the first touch of a page costs it as much as it does a heap.
func touchPageCache(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "touched"))
	require.NoError(b, err)
	defer os.Remove(f.Name())
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for range 1 << 10 {
		_, err := f.Write(chunk)
		require.NoError(b, err)
	}
}

// cpuTime is what the process has used of all cores: server, client and all.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
