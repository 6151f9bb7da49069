package state

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/metadata"
)

func TestPlacementIsEvenAndRackAware(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		racks := rapid.IntRange(1, 4).Draw(t, "racks")
		perRack := rapid.IntRange(1, 4).Draw(t, "brokers of each rack")
		n := racks * perRack
		rf := rapid.IntRange(1, n).Draw(t, "rf")
		rounds := rapid.IntRange(1, 5).Draw(t, "rounds")
		var brokers []metadata.Broker
		rack := map[int32]string{}
		for id := range int32(n) {
			rack[id] = string(rune('a' + int(id)%racks))
			brokers = append(brokers, metadata.Broker{ID: id, Rack: rack[id]})
		}
		assignment, err := newPlacer(brokers, rapid.Uint64().Draw(t, "seed")).place(n*rounds, rf)
		require.NoError(t, err)

		leads, holds := map[int32]int{}, map[int32]int{}
		for _, replicas := range assignment {
			require.Len(t, replicas, rf)
			require.True(t, distinct(replicas))
			leads[replicas[0]]++
			used := map[string]int{}
			for _, id := range replicas {
				holds[id]++
				used[rack[id]]++
			}
			require.Len(t, used, min(rf, racks), "racks of %v", replicas)
			for _, k := range used {
				require.LessOrEqual(t, k, (rf+racks-1)/racks)
			}
		}
		for id := range int32(n) {
			require.Equal(t, rounds, leads[id], "leaderships of broker %d", id)
			require.Equal(t, rounds*rf, holds[id], "replicas of broker %d", id)
		}
	})
}

// When a broker dies its leaderships go to many, not to one neighbour.
func TestDeathSpreadsLeaderships(t *testing.T) {
	var brokers []metadata.Broker
	for id := range int32(5) {
		brokers = append(brokers, metadata.Broker{ID: id})
	}
	assignment, err := newPlacer(brokers, 1).place(100, 3)
	require.NoError(t, err)
	heirs := map[int32]int{}
	for _, replicas := range assignment {
		if replicas[0] == 0 {
			heirs[replicas[1]]++
		}
	}
	require.Len(t, heirs, 4)
	for id, n := range heirs {
		require.Equal(t, 5, n, "broker %d", id)
	}
}

func TestPlacementIsItsSeed(t *testing.T) {
	var brokers []metadata.Broker
	for id := range int32(4) {
		brokers = append(brokers, metadata.Broker{ID: id})
	}
	place := func(seed uint64) [][]int32 {
		a, err := newPlacer(brokers, seed).place(8, 2)
		require.NoError(t, err)
		return a
	}
	require.Equal(t, place(1), place(1))
	starts := map[int32]bool{}
	for seed := range uint64(50) {
		starts[place(seed)[0][0]] = true
	}
	require.Len(t, starts, 4, "any broker may lead the first partition")
}

// Racks of two, one and one brokers: whoever shares a rack is not left idle, nor is
// whoever has one alone overburdened, beyond what the racks demand.
func TestUnequalRacksAreEvenedOut(t *testing.T) {
	brokers := []metadata.Broker{{ID: 1, Rack: "a"}, {ID: 2, Rack: "a"}, {ID: 3, Rack: "b"}, {ID: 4, Rack: "c"}}
	assignment, err := newPlacer(brokers, 1).place(24, 2)
	require.NoError(t, err)
	holds := map[int32]int{}
	for _, replicas := range assignment {
		for _, id := range replicas {
			holds[id]++
		}
	}
	for id, n := range holds {
		require.InDelta(t, 12, n, 1, "broker %d", id)
	}
}
