package consumergroup

import (
	"slices"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// A member is what the coordinator knows of a member, or of one that joins the
// next generation.
type member struct {
	Member
	known    bool      // a fact says that it is a member
	isNew    bool      // was not in a generation yet: it may be given up while it waits
	unsynced bool      // has not asked for its assignment in this generation
	deadline time.Time // its session ends then, unless it is heard

	join Token // its Join waits for the next generation; 0: none
	sync Token // its Sync waits for the assignment; 0: none
}

// A pendingMember was given a member id and is to join with it (KIP-394).
type pendingMember struct {
	id       string
	deadline time.Time
}

func (m *member) rejoined() bool { return m.join != 0 }

// expires reports whether silence ends the session. Who waits for an answer need
// not speak, but for a new member: nothing else tells whether it is still there.
func (m *member) expires() bool { return m.isNew || m.join == 0 && m.sync == 0 }

// renew begins a full session.
func (g *ClassicGroup) renew(m *member) { m.deadline = g.now.Add(m.SessionTimeout) }

// insert adds a member behind the others. The first to come leads.
func (g *ClassicGroup) insert(m *member) {
	if len(g.members) == 0 && m.isNew {
		g.leader = m.ID
	}
	g.members = append(g.members, m)
	g.byID[m.ID] = m
	g.dropPending(m.ID)
}

// remove takes members out and answers them if they wait; if the group leader
// is among them, the eldest of the rest leads. What was a fact is recorded.
func (g *ClassicGroup) remove(why Reason, gone ...*member) {
	var known []string
	for _, m := range gone {
		g.dismissMember(m, metadata.ErrUnknownMemberID)
		delete(g.byID, m.ID)
		if m.known {
			known = append(known, m.ID)
		}
	}
	g.members = slices.DeleteFunc(g.members, func(m *member) bool { return g.byID[m.ID] != m })
	if g.byID[g.leader] == nil {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].ID
		}
	}
	if known != nil {
		g.record(Removed{Members: known, Leader: g.leader, Why: why})
	}
}

// dismissMember answers a member's waiting requests with err.
func (g *ClassicGroup) dismissMember(m *member, err error) {
	if m.join != 0 {
		g.answer(m.join, err, JoinReply{})
		m.join = 0
	}
	if m.sync != 0 {
		g.answer(m.sync, err, nil)
		m.sync = 0
	}
}

func (g *ClassicGroup) dropPending(id string) {
	g.pending = slices.DeleteFunc(g.pending, func(p pendingMember) bool { return p.id == id })
}

func (g *ClassicGroup) isPending(id string) bool {
	return slices.ContainsFunc(g.pending, func(p pendingMember) bool { return p.id == id })
}

// rebalanceTimeout is how long the slowest member may take to rejoin.
func (g *ClassicGroup) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.members {
		longest = max(longest, m.RebalanceTimeout)
	}
	return longest
}

func (g *ClassicGroup) waitingJoins() (n int) {
	for _, m := range g.members {
		if m.rejoined() {
			n++
		}
	}
	return n
}
