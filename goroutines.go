package brokersim

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
)

// clusterLabel is the profiler label that every goroutine of a cluster carries;
// "node" names the node.
const clusterLabel = "brokersim"

// Goroutines returns the stacks of the goroutines that the cluster's nodes have
// started and that still run, equal ones once with their number. After Close
// there are none. It stops the world for a moment.
func (c *Cluster) Goroutines() []string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return []string{err.Error()}
	}
	var stacks []string
	mark := fmt.Sprintf("%q:%q", clusterLabel, c.label)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, mark) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
