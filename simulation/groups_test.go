package simulation_test

import (
	"fmt"
	"testing"

	"github.com/brokersim/brokersim/simulation"
)

// TestGroups is TestSimulation with groups: no two members own a partition, no commit is
// lost, none comes that is too late, and when all is healed every group has worked off
// everything.
func TestGroups(t *testing.T) {
	if !virtualClients {
		t.Skip("kgo's members hold a mutex across waits, which stops virtual time, unless they are built with -tags synctests")
	}
	for seed := *from; seed < *from+(*seeds+1)/2; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			result := play(t, simulation.FromSeed(seed).WithGroups())
			if len(result.Wrong) > 0 {
				t.Errorf("%v\nto play it again: go test -tags synctests ./simulation -run TestGroups -seed %d -seeds 1", result, seed)
				return
			}
			t.Logf("%v", result)
		})
	}
}
