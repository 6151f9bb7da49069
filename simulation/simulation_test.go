package simulation_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/simulation"
)

// usual is how many seeds are simulated unasked.
const usual = 12

var (
	seeds = flag.Uint64("seeds", usual, "how many seeds to simulate")
	from  = flag.Uint64("seed", 1, "the first of them")
)

// Whatever befalls a cluster at the same time: what was acknowledged is there,
// once, in order, and when all is healed the cluster becomes whole.
func TestSimulation(t *testing.T) {
	for seed := *from; seed < *from+*seeds; seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			result := play(t, simulation.FromSeed(seed))
			if len(result.Wrong) > 0 {
				t.Errorf("%v\nto play it again: go test -tags synctests ./simulation -run TestSimulation -seed %d -seeds 1", result, seed)
				return
			}
			t.Logf("%v", result)
		})
	}
}

func play(t *testing.T, plan simulation.Plan) (result simulation.Result) {
	brokertest.Virtual(t, func(t *testing.T) { result = simulation.Run(t, plan) })
	return result
}
