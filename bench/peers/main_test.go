package peers

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestMain(m *testing.M) {
	runNode() // does not return in a node
	for _, c := range []contender{
		ours(1, "memory"), ours(3, "memory"), ours(3, "disk"), inMemory(), onDisk(), nats("memory"), nats("disk"), kafka(), nothing(),
	} {
		fmt.Printf("promise: %s: %s\n", c.name, c.promise) // for who reads the figures
	}
	code := m.Run()
	for _, end := range slices.Backward(ends) {
		end()
	}
	os.Exit(code)
}

// ends are what is left to do when all benchmarks are over.
var ends []func()

func atEnd(f func()) { ends = append(ends, f) }
