//go:build unix

package bench

import (
	"syscall"
	"time"
)

// busy is what the process has used of all cores. The collector is in it as far as it
// runs by itself: one that is made in order to measure would cost, with ten thousand
// partitions, ten times as much as all the rest.
func busy() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
