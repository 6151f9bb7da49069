package state

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// placer chooses replicas for new partitions so that
//
//   - leaders go round all live brokers, from a random start, racks taking turns;
//   - the replicas of one partition lie on as many racks as there are;
//   - who follows whom changes with each round of the leaders, so that the death of
//     one broker spreads its leaderships over all others;
//   - where racks of different size burden a broker more, the next round makes up
//     for it as far as the racks allow;
//   - a broker that is fenced or shutting down is taken only for want of others,
//     and never first.
//
// All of its randomness is the seed.
type placer struct {
	ring   []seat // live brokers, racks in turn
	spare  []seat // the others
	rng    *rand.PCG
	placed map[int32]int // replicas by broker, of this command
	before map[int32]int // the same when this round began
}

type seat struct {
	id   int32
	rack string
}

func newPlacer(brokers []metadata.Broker, seed uint64) *placer {
	p := &placer{rng: rand.NewPCG(seed, 0x9e3779b97f4a7c15), placed: map[int32]int{}}
	racks := map[string]int{} // brokers of the rack so far
	turn := map[int32]int{}
	for _, b := range brokers {
		s := seat{id: b.ID, rack: b.Rack}
		if !b.Active() {
			p.spare = append(p.spare, s)
			continue
		}
		turn[b.ID] = racks[b.Rack]
		racks[b.Rack]++
		p.ring = append(p.ring, s)
	}
	slices.SortFunc(p.ring, func(a, b seat) int {
		return cmp.Or(cmp.Compare(turn[a.id], turn[b.id]), cmp.Compare(a.rack, b.rack), cmp.Compare(a.id, b.id))
	})
	return p
}

// place returns the replicas of each partition of a new topic, the leader first.
func (p *placer) place(partitions, rf int) ([][]int32, error) {
	if known := len(p.ring) + len(p.spare); rf > known {
		return nil, fmt.Errorf("%w: %d, there are %d brokers", metadata.ErrInvalidReplicationFactor, rf, known)
	}
	if len(p.ring) == 0 {
		return nil, fmt.Errorf("%w: all brokers are fenced or shutting down", metadata.ErrInvalidReplicationFactor)
	}
	n := len(p.ring)
	start := int(p.rng.Uint64() % uint64(n))
	assignment := make([][]int32, partitions)
	for i := range assignment {
		if i%n == 0 {
			p.before = maps.Clone(p.placed)
		}
		first := (start + i) % n
		assignment[i] = p.replicas(first, first+1+(i/n)%max(1, n-1), rf)
	}
	return assignment, nil
}

// replicas chooses for one partition: ring[first] leads, ties among followers go to
// the next in the ring from ring[from] on.
func (p *placer) replicas(first, from, rf int) []int32 {
	chosen := []seat{p.ring[first]}
	candidates := slices.Concat(p.ring[from%len(p.ring):], p.ring[:from%len(p.ring)], p.spare)
	for len(chosen) < rf {
		best := -1
		var rank [3]int
		for i, c := range candidates {
			if slices.Contains(chosen, c) {
				continue
			}
			r := p.rank(c, chosen, i >= len(p.ring))
			if best < 0 || slices.Compare(r[:], rank[:]) < 0 {
				best, rank = i, r
			}
		}
		chosen = append(chosen, candidates[best])
	}
	ids := make([]int32, rf)
	for i, s := range chosen {
		ids[i] = s.id
		p.placed[s.id]++
	}
	return ids
}

// rank orders candidates: live ones first, then other racks, then the least burdened so far.
func (p *placer) rank(c seat, chosen []seat, spare bool) (r [3]int) {
	if spare {
		r[0] = 1
	}
	for _, s := range chosen {
		if s.rack == c.rack {
			r[1]++
		}
	}
	r[2] = p.before[c.id]
	return r
}
