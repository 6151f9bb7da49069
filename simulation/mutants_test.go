package simulation_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/simulation"
)

// Guards that a few runs find missing, in so many at most.
var kills = map[guard.Guard]uint64{
	guard.TruncateByEpoch: 20,
	guard.FetchedEpoch:    20,
	guard.AckAfterCommit:  10,
	guard.ReadCommitted:   20,
	guard.StepDown:        20,
}

// TestMutantsAreFound shows that the simulation can fail: without a guard of the
// protocol it does, within a bounded number of seeds.
func TestMutantsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("plays dozens of clusters")
	}
	for _, g := range slices.Sorted(maps.Keys(kills)) {
		t.Run(fmt.Sprintf("m%d %s", g, g), func(t *testing.T) {
			defer g.Remove()()
			for seed := uint64(1); seed <= kills[g]; seed++ {
				if result := play(t, simulation.FromSeed(seed)); len(result.Wrong) > 0 {
					t.Logf("found by seed %d: %v", seed, result.Wrong[0])
					return
				}
			}
			t.Errorf("%d runs went well", kills[g])
		})
	}
}
