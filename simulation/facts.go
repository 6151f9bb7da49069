package simulation

import (
	"cmp"
	"context"
	"fmt"
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
		if err := r.history.Decided(e); err != nil {
			r.wrong("%w", err)
		}
	}
}

// Decided takes an event of a group. It is an error if it can not follow what was decided before.
func (h *History) Decided(e event.Event) error {
	group, ok := e.Data["group"].(string)
	if !ok && e.Kind != event.Lost {
		return nil
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
		return nil
	}
	f := h.groups.facts[group]
	if f == nil {
		f = &facts{roster: map[string]bool{}, members: map[int32]map[string]bool{}, next: map[string]string{}}
		h.groups.facts[group] = f
	}
	return f.decided(group, e)
}

func (f *facts) decided(group string, e event.Event) error {
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
		before := f.generation
		f.generation, f.members[generation] = generation, maps.Clone(f.roster)
		if generation != before+1 && !f.gaps {
			return fmt.Errorf("generations: %d of %s after %d", generation, group, before)
		}
	}
	return nil
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
