package simulation_test

import (
	"fmt"
	"testing"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/simulation"
)

// Guards that a few runs find missing, in so many at most. The slow ones are found
// by the end, when the cluster does not become whole; they are looked for when
// more seeds than usual are asked for.
var kills = []struct {
	guard guard.Guard
	runs  uint64
	slow  bool
}{
	{guard.TruncateByEpoch, 20, false},
	{guard.AckAfterCommit, 10, false},
	{guard.ReadCommitted, 20, false},
	{guard.FetchedEpoch, 20, true},
	{guard.StepDown, 20, true},
	{guard.DivergingIsNoProgress, 100, true},
}

// TestMutantsAreFound shows that the simulation can fail: without a guard of the
// protocol it does, within a bounded number of seeds.
func TestMutantsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("plays dozens of clusters")
	}
	for _, k := range kills {
		if k.slow && *seeds <= usual {
			continue
		}
		t.Run(fmt.Sprintf("m%d %s", k.guard, k.guard), func(t *testing.T) {
			defer k.guard.Remove()()
			for seed := uint64(1); seed <= k.runs; seed++ {
				if result := play(t, simulation.FromSeed(seed)); len(result.Wrong) > 0 {
					t.Logf("found by seed %d: %v", seed, result.Wrong[0])
					return
				}
			}
			t.Errorf("%d runs went well", k.runs)
		})
	}
}
