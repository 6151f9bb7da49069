package simulation

import (
	"math"
	"slices"
)

// offsetsAreKept judges what groups have committed: for each group and place it is a
// register, which commits write and fetches read. Three things put its writes in order:
//
//   - time: what had its only answer before another was sent came before it;
//   - generations: what is committed in one came before any member knew of a newer one, whether it
//     was acknowledged or not;
//   - an administrator, who is let in only while nobody is a member: all that
//     generations wrote that were known before came before it.
//
// A write that had an effect must not be ordered both ways with another: then it came later
// than it may have. A fetch must not show one that was refused, nor one that another one had
// replaced by then.
func (j *judge) offsetsAreKept(g groups) {
	registers := map[claim]*register{}
	of := func(c claim) *register {
		if registers[c] == nil {
			registers[c] = &register{claim: c, groups: g, j: j, byNote: map[string]*write{}}
		}
		return registers[c]
	}
	for _, c := range g.commits {
		j.tally.Commits++
		if c.Outcome == Refused {
			j.tally.Refused++
		}
		of(claim{c.Group, c.Place}).add(c)
	}
	for _, s := range g.shown {
		r := of(claim{s.Group, s.Place})
		r.shown = append(r.shown, s)
	}
	for _, c := range sorted(registers) {
		registers[c].judge()
	}
}

// A register is what a group has committed in one place.
type register struct {
	claim
	groups groups
	j      *judge
	writes []*write
	byNote map[string]*write
	shown  []Shown
}

// A write is a commit, and by when it certainly had its effect: never, if nobody saw one.
type write struct {
	*Commit
	by int
}

const never = math.MaxInt

func (r *register) add(c *Commit) {
	w := &write{c, never}
	if c.Outcome == Acked {
		w.by = c.Ended
	}
	r.writes = append(r.writes, w)
	r.byNote[c.Note] = w
}

func (r *register) judge() {
	for _, s := range r.shown {
		if w := r.written(s); w != nil {
			w.by = min(w.by, s.Ended)
		}
	}
	var effective []*write
	for _, w := range r.writes {
		if w.by != never {
			w.by = min(w.by, r.over(w.Commit))
			effective = append(effective, w)
		}
	}
	for i, a := range effective {
		r.allowed(a)
		for _, b := range effective[:i] {
			r.j.must(!r.before(a, b) || !r.before(b, a), "late commit", "%s of %s: %q (member %s, generation %d, offset %d) came after %q (member %s, generation %d, offset %d), which it may not follow, or the other way round",
				r.place, r.group, a.Note, a.Member, a.Generation, a.Offset, b.Note, b.Member, b.Generation, b.Offset)
		}
	}
	for _, s := range r.shown {
		r.isNewest(s, effective)
	}
}

// written finds the commit that was shown.
func (r *register) written(s Shown) *write {
	if s.Offset < 0 {
		return nil
	}
	w := r.byNote[s.Note]
	r.j.must(w != nil && w.Offset == s.Offset && w.Began < s.Ended, "phantom commit", "%v of %s is shown at %d by %q, which nobody committed: to %s", r.place, r.group, s.Offset, s.Note, s.Reader)
	if w != nil {
		r.j.must(w.Outcome != Refused, "resurrected commit", "%v of %s is shown at %d to %s: that is %q of member %s in generation %d, which was refused",
			r.place, r.group, s.Offset, s.Reader, w.Note, w.Member, w.Generation)
	}
	return w
}

// over is when all commits of a generation had their effect, or will have none: when a newer
// one was known.
func (r *register) over(c *Commit) int {
	end := never
	for generation, at := range r.groups.told[r.group] {
		if c.Generation >= 0 && generation > c.Generation {
			end = min(end, at)
		}
	}
	if at, met := r.groups.met[r.groups.facts.replacedBy(c.Group, c.Member)]; met {
		end = min(end, at)
	}
	return end
}

// allowed checks that who committed was a member then, and not too late.
func (r *register) allowed(w *write) {
	r.j.must(w.Began < r.over(w.Commit), "late commit", "%v of %s: %q was sent by member %s in generation %d after that was known to be over, and had its effect", r.place, r.group, w.Note, w.Member, w.Generation)
	if w.Member != "" {
		r.j.must(r.groups.facts.wasMember(w.Group, w.Member, w.Generation), "stranger", "%v of %s: %q was taken from %s, who was no member in generation %d", r.place, r.group, w.Note, w.Member, w.Generation)
	}
}

// before reports whether a certainly had its effect before b.
func (r *register) before(a, b *write) bool {
	switch {
	case a.Lone && a.Outcome != Unknown && a.Ended < b.Began:
		return true
	case a.Generation >= 0 && b.Generation >= 0:
		return a.Generation < b.Generation
	case a.Generation >= 0 && b.Generation < 0: // nobody was a member then
		at, told := r.groups.told[r.group][a.Generation]
		return told && at < b.Began
	}
	return false
}

// isNewest checks that a fetch shows nothing that had been replaced before it was sent.
func (r *register) isNewest(s Shown, effective []*write) {
	shown := r.written(s)
	for _, w := range effective {
		if w == shown || w.by >= s.Began || s.Offset >= 0 && shown == nil {
			continue
		}
		what, lost := "nothing", shown == nil
		if shown != nil {
			what, lost = shown.Note, r.before(shown, w)
		}
		r.j.must(!lost, "lost commit", "%v of %s: %s is shown %q at %d, though %q (member %s, generation %d) had committed %d",
			r.place, r.group, s.Reader, what, s.Offset, w.Note, w.Member, w.Generation, w.Offset)
	}
}

// everythingWasDelivered checks that each record below a committed offset had been given to
// a member before; ends are those of the places.
func (j *judge) everythingWasDelivered(g groups, ends map[Place]int64) {
	latest := map[claim][]int{} // by offset: when the last of all records up to it was delivered
	for c, offsets := range g.passed {
		at, last := make([]int, ends[c.place]), 0
		for o := range at {
			if when, ok := offsets[int64(o)]; ok {
				last = max(last, when)
			} else {
				last = never
			}
			at[o] = last
		}
		latest[c] = at
	}
	for _, c := range g.commits {
		at := latest[claim{c.Group, c.Place}]
		if c.Outcome != Acked || c.Offset == 0 {
			continue
		}
		j.must(c.Offset <= ends[c.Place], "beyond the end", "%v of %s is committed at %d, and it ends at %d", c.Place, c.Group, c.Offset, ends[c.Place])
		if c.Offset <= int64(len(at)) {
			j.must(at[c.Offset-1] < c.Began, "not delivered", "%v of %s is committed at %d by %q, and not everything below was given to a member", c.Place, c.Group, c.Offset, c.Note)
		}
	}
}

// ends are those of the partitions, as far as anybody read.
func (j *judge) ends() map[Place]int64 {
	ends := map[Place]int64{}
	for at, log := range j.logs {
		for o := range log {
			ends[at] = max(ends[at], o+1)
		}
	}
	return ends
}

func sorted(registers map[claim]*register) []claim {
	var all []claim
	for c := range registers {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b claim) int { return compare(a, b) })
	return all
}
