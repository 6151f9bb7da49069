package peers

import (
	"os"
	"slices"
	"testing"
)

func TestMain(m *testing.M) {
	runNode() // does not return in a node
	code := m.Run()
	for _, end := range slices.Backward(ends) {
		end()
	}
	os.Exit(code)
}

// ends are what is left to do when all benchmarks are over.
var ends []func()

func atEnd(f func()) { ends = append(ends, f) }
