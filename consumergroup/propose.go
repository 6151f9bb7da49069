package consumergroup

import (
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// record notes a change that is to be committed. The caller has made it already.
func (g *ClassicGroup) record(f Fact) {
	g.batch = append(g.batch, f)
	_, gone := f.(Deleted)
	g.exists = !gone
}

// propose sends off what was recorded. The answers of this event wait for it, all
// of them: any may show it.
func (g *ClassicGroup) propose(now time.Time) {
	g.proposed, g.batch = g.batch, nil
	g.held, g.out = g.out, nil
	g.time.stop(proposing, now)
}

// Committed makes facts of what was proposed, lets the answers go that waited for
// it, and takes the requests that came meanwhile.
func (g *ClassicGroup) Committed(offset int64, now time.Time) Decision {
	if g.proposed == nil {
		return g.decide(now)
	}
	g.facts, g.offset = Replay(g.facts, g.proposed...), offset
	g.out, g.held = g.held, nil
	return g.settled(now)
}

// Failed goes back to the facts.
func (g *ClassicGroup) Failed(err error, now time.Time) Decision {
	if g.proposed == nil {
		return g.decide(now)
	}
	held := g.held
	g.held = nil
	for _, a := range held {
		g.answer(a.To, err, nil)
	}
	g.dismiss(err)
	g.restart(now)
	return g.settled(now)
}

// settled goes on after a proposal's outcome. What is answered already keeps its
// offset; what follows is decided as if it came now.
func (g *ClassicGroup) settled(now time.Time) Decision {
	g.proposed = nil
	g.time.start(proposing, now)
	g.now = g.time.at(now)
	queue := g.queue
	g.queue = nil
	done := g.out
	g.out = nil
	for i := range done {
		done[i].Offset = g.offset
	}
	if g.moved {
		g.moved = false
		for _, r := range queue {
			g.answer(r.token(), metadata.ErrNotCoordinator, nil)
		}
		g.leaveBroker(now)
		queue = nil
	}
	for _, r := range queue {
		g.handle(r)
	}
	d := g.decide(now)
	d.Answers = append(done, d.Answers...)
	return d
}

// Moved says that another broker is the group's broker now.
func (g *ClassicGroup) Moved(now time.Time) Decision {
	if g.proposed != nil {
		g.moved = true
		return Decision{}
	}
	g.now = g.time.at(now)
	g.leaveBroker(now)
	return g.decide(now)
}

func (g *ClassicGroup) leaveBroker(now time.Time) {
	g.dismiss(metadata.ErrNotCoordinator)
	g.time.start(silent, now)
	g.restart(now)
}

// Close answers everybody with err.
func (g *ClassicGroup) Close(err error) []Answer {
	for _, a := range g.held {
		g.answer(a.To, err, nil)
	}
	g.dismiss(err)
	for _, r := range g.queue {
		g.answer(r.token(), err, nil)
	}
	answers := g.out
	g.out, g.held, g.queue = nil, nil, nil
	return answers
}

// dismiss answers all members who wait.
func (g *ClassicGroup) dismiss(err error) {
	for _, m := range g.members {
		g.dismissMember(m, err)
	}
}

// restart forgets what is no fact: who waits (they have their answers), who was
// about to join, every timeout. The generation goes on, and every member has a
// full session. A rebalance goes on too, from its begin.
func (g *ClassicGroup) restart(now time.Time) {
	g.batch, g.pending, g.members = nil, nil, nil
	clear(g.byID)
	g.initial, g.newcomer, g.joinDeadline, g.syncDeadline = false, false, time.Time{}, time.Time{}
	f, _ := g.facts.(*ClassicFacts)
	if g.exists = f != nil; !g.exists {
		f = &ClassicFacts{}
	}
	g.state, g.generation, g.since = f.State, f.Generation, f.Since
	g.protocolType, g.protocol, g.leader = f.ProtocolType, f.Protocol, f.Leader
	if !guard.SameGeneration.Holds() {
		g.generation = max(g.generation-1, 0)
	}
	g.now, g.heard = g.time.at(now), now
	for _, m := range f.Members {
		g.insert(&member{Member: m, known: true, unsynced: f.State == CompletingRebalance})
		g.renew(g.byID[m.ID])
	}
	switch {
	case g.state == PreparingRebalance:
		g.completeOrWait()
	case g.state == CompletingRebalance:
		g.syncDeadline = g.now.Add(g.rebalanceTimeout())
	case g.state == Stable && len(g.members) > g.config.MaxSize:
		g.prepareRebalance(NoRoom, "") // group.max.size has been lowered
	}
}
