package consumergroup

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// joinStatic takes the Join of a static member's process that has no member id
// yet: a new member, or the next process of one that is there (KIP-345).
func (g *ClassicGroup) joinStatic(r Join) {
	old := g.byID[g.instance(r.Instance)]
	if old == nil || !guard.OneInstance.Holds() {
		g.add(r, r.NewMemberID)
		return
	}
	leader := g.leader
	m := g.replace(old, r)
	if g.state != Stable || g.vote() != g.protocol {
		// In CompletingRebalance, too: the group leader may be assigning to the old member id just now.
		g.rebalance(Returns, m.ID)
		return
	}
	reply := g.returning(m, r.SkipsAssignment)
	if !r.SkipsAssignment {
		reply.Leader = leader // who led must not think that it is to assign
	}
	m.join = 0
	g.answer(r.Token, nil, reply)
}

// replace puts the next process of a static member into its place. The process
// before is fenced; if it still waits it is told so.
func (g *ClassicGroup) replace(old *member, r Join) *member {
	m := &member{Member: old.Member, known: old.known, unsynced: old.unsynced}
	m.ID, m.ClientID, m.ClientHost = r.NewMemberID, r.ClientID, r.ClientHost
	g.members[slices.Index(g.members, old)] = m
	delete(g.byID, old.ID)
	g.byID[m.ID] = m
	if g.leader == old.ID {
		g.leader = m.ID
	}
	g.update(m, r)
	g.renew(m)
	if m.known {
		g.record(Replaced{Old: old.ID, New: m.Member})
	}
	g.dismissMember(old, fmt.Errorf("instance %q is %q now: %w", m.Instance, m.ID, metadata.ErrFencedInstanceID))
	return m
}

// returning is the answer to a static member that comes back while the group is
// Stable: nothing changes for anybody. If it leads the group it hears of all members, to
// watch their topics, and is told not to assign (KIP-814).
func (g *ClassicGroup) returning(m *member, skips bool) JoinReply {
	r := g.joined(m, skips)
	r.SkipAssignment = skips && g.leader == m.ID
	return r
}
