package partition_test

import (
	"flag"
	"runtime/debug"
	"testing"
)

// The heap is small, and new for each test: to collect it at every few MiB would be a
// sixth of the time that all of them take. Benchmarks have it as users do.
func TestMain(m *testing.M) {
	if flag.Parse(); flag.Lookup("test.bench").Value.String() == "" {
		debug.SetGCPercent(400)
	}
	m.Run()
}
