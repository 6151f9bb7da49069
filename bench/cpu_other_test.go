//go:build !unix

package bench

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// busy is what the program itself has used of the cores, without its collector; the
// runtime knows it as of the last collection, so one is made.
func busy() time.Duration {
	runtime.GC()
	names := []string{"/cpu/classes/total:cpu-seconds", "/cpu/classes/idle:cpu-seconds", "/cpu/classes/gc/total:cpu-seconds"}
	s := make([]metrics.Sample, len(names))
	for i := range s {
		s[i].Name = names[i]
	}
	metrics.Read(s)
	return time.Duration((s[0].Value.Float64() - s[1].Value.Float64() - s[2].Value.Float64()) * float64(time.Second))
}
