package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Broken returns every promise that was not kept, in no more words than a test's failure
// needs. It may be asked at any time: what is still under way is taken as it is.
func (g *Group) Broken() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var broken []error
	say := func(format string, args ...any) { broken = append(broken, fmt.Errorf(format, args...)) }
	beliefs := map[place][]*belief{}
	for _, m := range g.members {
		for _, b := range m.owns {
			beliefs[b.place] = append(beliefs[b.place], b)
		}
	}
	places := g.places(beliefs)
	for _, at := range places {
		g.judgeOwners(beliefs[at], say)
		g.judgeCommits(at, beliefs[at], say)
		g.judgeBeginnings(at, beliefs[at], say)
		g.judgeDeliveries(at, say)
	}
	return broken
}

func (g *Group) places(beliefs map[place][]*belief) (places []place) {
	for at := range beliefs {
		places = append(places, at)
	}
	for at := range g.moves {
		if beliefs[at] == nil {
			places = append(places, at)
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	return places
}

type sayer func(format string, args ...any)

// judgeOwners finds two that own the same at the same time, or by the same generation.
func (g *Group) judgeOwners(beliefs []*belief, say sayer) {
	for i, a := range beliefs {
		for _, b := range beliefs[i+1:] {
			first, second := a, b
			if b.from < a.from {
				first, second = b, a
			}
			end, ends := g.end(first)
			switch {
			case first.member == second.member:
			case first.generation == second.generation && !g.replaced(first, second.began):
				say("%v was given to %s and to %s in generation %d", a.place, first.member.name, second.member.name, a.generation)
			case !ends || second.began.Before(end):
				say("%s (generation %d) owned %v still when %s (generation %d) did", first.member.name, first.generation, first.place, second.member.name, second.generation)
			}
		}
	}
}

// end is when a belief stopped to count: its member heard, ended, or had no session any more.
func (g *Group) end(b *belief) (at time.Time, ends bool) {
	expired, dead := g.expired[b.id]
	if b.to == 0 || dead && expired.Before(b.ended) {
		return expired, dead
	}
	return b.ended, true
}

// replaced reports whether the member that holds a belief was gone at a moment, so that another
// process may have its place, as a static member's next one does.
func (g *Group) replaced(b *belief, at time.Time) bool {
	expired, dead := g.expired[b.id]
	return dead && !expired.After(at) || !b.member.left.IsZero() && !b.member.left.After(at)
}

// judgeCommits finds what goes back though nobody had the right to.
func (g *Group) judgeCommits(at place, beliefs []*belief, say sayer) {
	moves := g.moves[at]
	for i, c := range moves {
		if c.by == nil || c.began == 0 || g.owned(c, beliefs) {
			continue
		}
		for _, before := range slices.Backward(moves[:i]) {
			if before.told < c.began { // the newest that certainly was before
				if c.offset < before.offset {
					say("%s, who does not own %v, committed %d there after %d was committed", c.by.name, at, c.offset, before.offset)
				}
				break
			}
		}
	}
}

// owned reports whether the partition was its member's when a commit was begun.
func (g *Group) owned(c move, beliefs []*belief) bool {
	return slices.ContainsFunc(beliefs, func(b *belief) bool {
		expired, dead := g.expired[b.id]
		return b.member == c.by && b.from < c.began && (b.to == 0 || c.began < b.to) && !(dead && expired.Before(c.at))
	})
}

// judgeBeginnings finds owners that were given again what was committed before they became
// owners: a commit was forgotten. A record that they were the first to be given is none of those: it
// may have been on its way.
func (g *Group) judgeBeginnings(at place, beliefs []*belief, say sayer) {
	for _, b := range beliefs {
		reached := int64(-1)
		for _, c := range g.moves[at] {
			if c.told < b.from {
				reached = c.offset
			} else if c.by == nil && (b.to == 0 || c.told < b.to) {
				reached = min(reached, c.offset) // perhaps before the first record
			}
		}
		if b.again && b.first < reached {
			say("%s began %v at offset %d in generation %d, though %d had been committed", b.member.name, at, b.first, b.generation, reached)
		}
	}
}

// judgeDeliveries finds records that nobody was given, and which nobody will be.
func (g *Group) judgeDeliveries(at place, say sayer) {
	from, to := int64(0), int64(0)
	check := func() {
		missing, example := 0, int64(0)
		for offset := from; offset < to; offset++ {
			if !g.read[at][offset] {
				if missing == 0 {
					example = offset
				}
				missing++
			}
		}
		if missing > 0 {
			say("%d records of %v below the committed offset %d were delivered to nobody, the first at offset %d", missing, at, to, example)
		}
	}
	for _, c := range g.moves[at] {
		if c.by == nil {
			check()
			from, to = c.offset, c.offset
		}
		to = max(to, c.offset)
	}
	check()
}
