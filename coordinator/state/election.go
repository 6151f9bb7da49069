package state

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// rules are what a partition's transitions go by beside the partition itself.
type rules struct {
	minInsyncReplicas int
	unclean           bool           // any live replica will do when no eligible one is left
	live              map[int32]bool // brokers that may lead: neither fenced nor shutting down
}

// A wish is what a command wants of a partition.
type wish struct {
	isr       []int32 // who shall be in sync
	lost      int32   // a broker that may have lost what it held, or NoLeader
	recovered bool    // the leader has recovered from an unclean election
	preferred bool    // move the leadership to the preferred replica if it may lead
	unclean   bool    // as rules.unclean, this time only
	settles   bool    // the partition epoch rises even if nothing else changes
}

// keep is the wish for nothing but an election where there is no leader.
func keep(p metadata.Partition) wish { return wish{isr: p.ISR, lost: metadata.NoLeader} }

// decide returns the state that follows p, its partition epoch left as it is, and
// why its leader is the leader. The rules are those of KIP-966:
//
//   - Whoever leaves the ISR while it is below min ISR stays eligible (ELR): nothing
//     is committed below min ISR, so it holds everything that ever was.
//   - A broker that may have lost data is neither in sync nor eligible.
//   - With min ISR members in sync again nobody else needs to be eligible.
//   - When the ISR becomes empty the last leader is remembered until there is one.
func (r rules) decide(p metadata.Partition, a wish) (metadata.Partition, reason) {
	old, minISR := p, metadata.EffectiveMinISR(r.minInsyncReplicas, len(p.Replicas))
	p.ISR = among(p.Replicas, func(id int32) bool { return id != a.lost && slices.Contains(a.isr, id) })
	p.ELR = among(p.Replicas, func(id int32) bool {
		return id != a.lost && !slices.Contains(p.ISR, id) && (slices.Contains(old.ELR, id) || slices.Contains(old.ISR, id))
	})
	if a.recovered {
		p.Recovering = false
	}
	leader, why := r.elect(p, a)
	if leader != old.Leader {
		p.Leader = leader
		p.LeaderEpoch++
	}
	switch {
	case leader == metadata.NoLeader:
		if old.Leader != metadata.NoLeader {
			p.LastKnownLeader = old.Leader
		}
	case why.unclean:
		p.ISR, p.ELR, p.Recovering, p.LastKnownLeader = []int32{leader}, nil, true, metadata.NoLeader
	default:
		if len(p.ISR) == 0 {
			p.ISR, p.ELR = []int32{leader}, without(p.ELR, []int32{leader})
		}
		p.LastKnownLeader = metadata.NoLeader
	}
	if len(p.ISR) >= minISR {
		p.ELR = nil
	}
	return p, why
}

// A reason says why a leader was chosen.
type reason struct {
	words   string
	unclean bool // acknowledged records may be lost
}

// elect chooses the leader: the one there is if it may stay, else the first in the
// order of the replicas that may lead.
func (r rules) elect(p metadata.Partition, a wish) (int32, reason) {
	eligible := p.ISR
	if len(p.ISR) == 0 {
		eligible = p.ELR
	}
	may := func(id int32) bool { return r.live[id] && slices.Contains(eligible, id) }
	if a.preferred && len(p.Replicas) > 0 && may(p.Replicas[0]) {
		return p.Replicas[0], reason{words: "preferred replica"}
	}
	if may(p.Leader) {
		return p.Leader, reason{words: "it still leads"}
	}
	if i := slices.IndexFunc(p.Replicas, may); i >= 0 {
		if len(p.ISR) > 0 {
			return p.Replicas[i], reason{words: "first live replica in the ISR"}
		}
		return p.Replicas[i], reason{words: fmt.Sprintf("from the ELR: first live one of %v, who hold everything committed", p.ELR)}
	}
	if len(eligible) == 0 && r.live[p.LastKnownLeader] {
		return p.LastKnownLeader, reason{words: "unclean: the last known leader, ISR and ELR are empty", unclean: true}
	}
	if r.unclean || a.unclean {
		if i := slices.IndexFunc(p.Replicas, func(id int32) bool { return r.live[id] }); i >= 0 {
			return p.Replicas[i], reason{words: "unclean: first live replica, nobody eligible is live", unclean: true}
		}
	}
	if len(eligible) == 0 {
		return metadata.NoLeader, reason{words: "nobody is eligible: ISR and ELR are empty"}
	}
	return metadata.NoLeader, reason{words: fmt.Sprintf("nobody eligible is live: ISR empty, ELR %v", eligible)}
}

// among returns those of ids that fit, nil if none does.
func among(ids []int32, fits func(int32) bool) []int32 {
	var chosen []int32
	for _, id := range ids {
		if fits(id) {
			chosen = append(chosen, id)
		}
	}
	return chosen
}
