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
	guard  guard.Guard
	runs   uint64
	slow   bool
	groups bool // it is about groups
}{
	{guard.TruncateByEpoch, 20, false, false},
	{guard.AckAfterCommit, 10, false, false},
	{guard.ReadCommitted, 20, false, false},
	{guard.JoinBarrier, 10, false, true},
	{guard.MarkerFirst, 30, false, true},
	{guard.FetchedEpoch, 20, true, false},
	{guard.StepDown, 20, true, false},
	{guard.DivergingIsNoProgress, 100, true, false},
	{guard.FetchCommitted, 40, true, true},
	{guard.MembersOnly, 40, true, true},
}

// TestMutantsAreFound shows that the simulation can fail: without a guard of the
// protocol it does, within a bounded number of seeds.
func TestMutantsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("plays dozens of clusters")
	}
	for _, k := range kills {
		if k.slow && *seeds <= usual || k.groups && !virtualClients {
			continue
		}
		t.Run(fmt.Sprintf("m%d %s", k.guard, k.guard), func(t *testing.T) {
			defer k.guard.Remove()()
			for seed := uint64(1); seed <= k.runs; seed++ {
				plan := simulation.FromSeed(seed)
				if k.groups {
					plan = plan.WithGroups()
				}
				if result := play(t, plan); len(result.Wrong) > 0 {
					t.Logf("found by seed %d: %v", seed, result.Wrong[0])
					return
				}
			}
			t.Errorf("%d runs went well", k.runs)
		})
	}
}
