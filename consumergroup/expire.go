package consumergroup

import (
	"slices"
	"time"
)

// expire lets run out what is due, the earliest first.
func (g *ClassicGroup) expire() {
	for {
		due := g.next()
		if due.IsZero() || g.now.Before(due) {
			return
		}
		g.expireAt(due)
	}
}

// expireAt ends one wait that is due at that time. Each call ends something, or
// moves it past now.
func (g *ClassicGroup) expireAt(due time.Time) {
	for _, m := range g.members {
		if m.expires() && m.deadline.Equal(due) {
			g.sessionEnded(m)
			return
		}
	}
	for i, p := range g.pending {
		if p.deadline.Equal(due) {
			g.pending = slices.Delete(g.pending, i, i+1)
			g.completeIfJoined()
			return
		}
	}
	if g.joinDeadline.Equal(due) {
		g.joinTimedOut()
		return
	}
	g.syncTimedOut()
}

// next is when the next wait ends, in the group's time; zero if nobody waits.
func (g *ClassicGroup) next() (first time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, m := range g.members {
		if m.expires() {
			earlier(m.deadline)
		}
	}
	for _, p := range g.pending {
		earlier(p.deadline)
	}
	earlier(g.joinDeadline)
	earlier(g.syncDeadline)
	return first
}

// sessionEnded removes a member that was silent for too long.
func (g *ClassicGroup) sessionEnded(m *member) {
	g.remove(Silent, m)
	if g.state == Stable || g.state == CompletingRebalance {
		g.prepareRebalance(Silent, m.ID)
		return
	}
	g.completeIfJoined()
}

// syncTimedOut removes who has joined the generation and never asked for its
// assignment: nobody works on what it was given.
func (g *ClassicGroup) syncTimedOut() {
	g.syncDeadline = time.Time{}
	var gone []*member
	for _, m := range g.members {
		if m.unsynced {
			gone = append(gone, m)
		}
	}
	if len(gone) > 0 {
		g.remove(Unsynced, gone...)
		g.prepareRebalance(Unsynced, gone[0].ID)
	}
}
