package simulation

import (
	"cmp"
	"context"
	"maps"

	"github.com/brokersim/brokersim/event"
)

func compare(a, b claim) int {
	return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.place.Topic, b.place.Topic), cmp.Compare(a.place.Partition, b.place.Partition))
}

// facts is what was decided of a group, as events tell it.
type facts struct {
	generation int32
	roster     map[string]bool
	members    map[int32]map[string]bool // of each generation, with those who took somebody's place in it
	next       map[string]string         // who took a member's place
	gaps       bool                      // some events were lost
}

type allFacts map[string]*facts

// hear follows what is decided of groups until ctx ends.
func (r *run) hear(ctx context.Context) {
	for e := range r.cluster.Events(ctx, 0) {
		r.history.Decided(e)
	}
}

// Decided takes an event of a group.
func (h *History) Decided(e event.Event) {
	group, ok := e.Data["group"].(string)
	if !ok && e.Kind != event.Lost {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups.facts == nil {
		h.groups.facts = allFacts{}
	}
	if e.Kind == event.Lost {
		for _, f := range h.groups.facts {
			f.gaps = true
		}
		return
	}
	f := h.groups.facts[group]
	if f == nil {
		f = &facts{roster: map[string]bool{}, members: map[int32]map[string]bool{}, next: map[string]string{}}
		h.groups.facts[group] = f
	}
	h.decided(f, e)
}

func (h *History) decided(f *facts, e event.Event) {
	member, _ := e.Data["member"].(string)
	switch e.Kind {
	case event.GroupMemberJoined:
		f.roster[member] = true
	case event.GroupMemberExpired, event.GroupMemberLeft:
		delete(f.roster, member)
	case event.GroupMemberReplaced:
		old, _ := e.Data["old"].(string)
		delete(f.roster, old)
		f.roster[member], f.next[old] = true, member
		if m := f.members[f.generation]; m != nil {
			m[member] = true
		}
	case event.GroupGeneration:
		generation, _ := e.Data["generation"].(int32)
		if generation != f.generation+1 && !f.gaps {
			h.owners.complain("generations: %d of %v after %d", generation, e.Data["group"], f.generation)
		}
		f.generation, f.members[generation] = generation, maps.Clone(f.roster)
	}
}

// replacedBy returns the member id that took the place of another one, "" if none did.
func (fs allFacts) replacedBy(group, member string) string {
	if f := fs[group]; f != nil {
		return f.next[member]
	}
	return ""
}

// wasMember reports whether a generation had that member.
func (fs allFacts) wasMember(group, member string, generation int32) bool {
	f := fs[group]
	return f == nil || f.gaps || f.members[generation][member]
}
