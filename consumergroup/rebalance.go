package consumergroup

import (
	"math"
	"slices"
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// rebalance begins a rebalance, or sees whether the one under way can end.
func (g *ClassicGroup) rebalance(why Reason, who string) {
	if g.state == PreparingRebalance {
		g.completeIfJoined()
		return
	}
	g.prepareRebalance(why, who)
}

// prepareRebalance ends the generation: everybody is to join. The first members of an
// empty group get group.initial.rebalance.delay.ms to gather.
func (g *ClassicGroup) prepareRebalance(why Reason, who string) {
	g.initial = g.state == Empty
	g.state, g.syncDeadline = PreparingRebalance, time.Time{}
	g.record(Rebalancing{g.protocolType, why, who})
	for _, m := range g.members {
		m.unsynced = false
		if m.sync != 0 {
			g.renew(m)
			g.dismissSync(m)
		}
	}
	if !g.initial {
		g.completeOrWait()
		return
	}
	g.newcomer = false
	g.delay = g.config.InitialDelay
	g.delayLeft = max(g.rebalanceTimeout()-g.delay, 0)
	g.joinDeadline = g.now.Add(g.delay)
}

func (g *ClassicGroup) dismissSync(m *member) {
	g.answer(m.sync, metadata.ErrRebalanceInProgress, nil)
	m.sync = 0
}

// completeOrWait forms the generation if everybody has joined, and else gives
// them the rebalance timeout of the slowest.
func (g *ClassicGroup) completeOrWait() {
	if g.allJoined() {
		g.complete()
		return
	}
	g.joinDeadline = g.now.Add(g.rebalanceTimeout())
}

// completeIfJoined forms the generation if everybody has joined. While the first
// members gather only time ends that.
func (g *ClassicGroup) completeIfJoined() {
	if g.state == PreparingRebalance && !g.initial && g.allJoined() {
		g.complete()
	}
}

// allJoined is the barrier: nobody is in the next generation while somebody is
// still at work in this one.
func (g *ClassicGroup) allJoined() bool {
	if !guard.JoinBarrier.Holds() {
		return len(g.members) == 0 || g.waitingJoins() > 0
	}
	return g.waitingJoins() == len(g.members) && len(g.pending) == 0
}

// joinTimedOut ends the wait for who has not joined.
func (g *ClassicGroup) joinTimedOut() {
	if !g.initial || !g.newcomer || g.delayLeft == 0 {
		g.complete()
		return
	}
	// Somebody came while the group gathered: wait as long again, at most a rebalance timeout in all.
	g.newcomer = false
	before := g.delay
	g.delay = min(g.config.InitialDelay, g.delayLeft)
	g.delayLeft = max(g.delayLeft-before, 0)
	g.joinDeadline = g.now.Add(g.delay)
}

// complete forms the next generation out of those who have joined. Static members
// stay even if they have not: they may be restarting.
func (g *ClassicGroup) complete() {
	g.joinDeadline = time.Time{}
	late := slices.Collect(g.late())
	if guard.JoinBarrier.Holds() && len(late) > 0 {
		g.remove(Late, late...)
	}
	if !g.leaderJoined() && len(g.members) > 0 {
		// Only static members are left, and none of them is here: their sessions decide. (Not
		// sooner than in a second, whatever rebalance timeout they ask for.)
		g.joinDeadline = g.now.Add(max(g.rebalanceTimeout(), time.Second))
		return
	}
	g.generation = g.generation%math.MaxInt32 + 1 // never negative: -1 is who takes no part
	g.initial, g.since = false, g.now.UnixMilli()
	if len(g.members) == 0 {
		g.state, g.protocol, g.leader = Empty, "", ""
		g.record(g.formed())
		return
	}
	g.state, g.protocol = CompletingRebalance, g.vote()
	g.syncDeadline = g.now.Add(g.rebalanceTimeout())
	for _, m := range g.members {
		m.Assignment, m.known, m.isNew, m.unsynced = "", true, false, true
		g.renew(m)
	}
	g.record(g.formed())
	for _, m := range g.members {
		if m.join != 0 {
			g.answer(m.join, nil, g.joined(m, true))
			m.join = 0
		}
	}
}

// late are the dynamic members who have not joined.
func (g *ClassicGroup) late() func(yield func(*member) bool) {
	return func(yield func(*member) bool) {
		for _, m := range g.members {
			if !m.rejoined() && m.Instance == "" && !yield(m) {
				return
			}
		}
	}
}

// leaderJoined keeps the group leader if it has joined, and else makes the eldest of
// who has the leader. False: nobody has.
func (g *ClassicGroup) leaderJoined() bool {
	if m := g.byID[g.leader]; m != nil && m.rejoined() {
		return true
	}
	i := slices.IndexFunc(g.members, (*member).rejoined)
	if i < 0 {
		return false
	}
	g.leader = g.members[i].ID
	return true
}

// formed is the group as it is now.
func (g *ClassicGroup) formed() Formed {
	f := Formed{ClassicFacts{
		State: g.state, Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader,
		Since: g.since,
	}}
	for _, m := range g.members {
		f.Members = append(f.Members, m.Member)
	}
	return f
}
