package peers

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var rounds = flag.Int("rounds", 0, "do everything so often, and say which run it is")

func TestMain(m *testing.M) {
	runNode() // does not return in a node
	for _, c := range []contender{
		ours(1, "memory"), ours(3, "memory"), ours(3, "disk"), inMemory(), onDisk(), nats("memory"), nats("disk"), kafka(), nothing(),
	} {
		fmt.Printf("promise: %s: %s\n", c.name, c.promise) // for who reads the figures
	}
	flag.Parse()
	code := m.Run
	if *rounds > 0 {
		code = func() int { return inRounds(m) }
	}
	failed := code()
	for _, end := range slices.Backward(ends) {
		end()
	}
	os.Exit(failed)
}

// inRounds runs everything once, then all again, and so on. What takes long to start, as Apache
// Kafka does, is started once.
func inRounds(m *testing.M) (failed int) {
	for round := range *rounds {
		fmt.Printf("run: %d\n", round+1)
		if load, err := os.ReadFile("/proc/loadavg"); err == nil {
			fmt.Printf("load: %s\n", strings.Fields(string(load))[0])
		}
		failed = max(failed, m.Run())
	}
	return failed
}

// ends are what is left to do when all benchmarks are over.
var ends []func()

func atEnd(f func()) { ends = append(ends, f) }
