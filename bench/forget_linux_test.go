package bench

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// forget has the operating system drop a file from its cache.
func forget(b *testing.B, file string) {
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	f, err := os.Open(file)
	require.NoError(b, err)
	defer f.Close()
	require.NoError(b, f.Sync()) // what is dirty stays
	_, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0)
	require.Zero(b, errno)
}
