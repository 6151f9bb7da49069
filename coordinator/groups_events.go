package coordinator

import (
	"maps"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
)

// groupTeller says what committed facts of groups made happen. It remembers the facts of
// each group, decoded; it belongs to the fsm.
type groupTeller struct {
	known map[string]knownFacts
}

type knownFacts struct {
	facts  consumergroup.Facts
	offset int64
}

// events tells the changes of groups among the deltas of one entry. What cannot be
// read is not told.
func (t *groupTeller) events(before *metadata.Image, offset int64, deltas []metadata.Delta) []event.Event {
	var events []event.Event
	for _, d := range deltas {
		if c, ok := d.(metadata.GroupChanged); ok {
			events = append(events, t.changed(before, offset, c)...)
		}
	}
	return events
}

func (t *groupTeller) changed(before *metadata.Image, offset int64, c metadata.GroupChanged) []event.Event {
	facts := t.before(before, c.ID)
	if c.Whole && len(c.Facts) == 0 {
		delete(t.known, c.ID)
		return []event.Event{groupEvent(event.GroupDeleted, c.ID, nil)}
	}
	changes, err := consumergroup.DecodeFacts(c.Facts)
	if err != nil {
		delete(t.known, c.ID)
		return nil
	}
	var events []event.Event
	for _, change := range changes {
		events = append(events, factEvents(c.ID, facts, change)...)
		facts = consumergroup.Replay(facts, change)
	}
	if t.known == nil {
		t.known = map[string]knownFacts{}
	}
	t.known[c.ID] = knownFacts{facts, offset}
	return events
}

// before is what was committed of a group before the entry at hand.
func (t *groupTeller) before(im *metadata.Image, id string) consumergroup.Facts {
	g, ok := im.Group(id)
	if k := t.known[id]; ok && k.offset == g.Offset {
		return k.facts
	}
	facts, err := consumergroup.FactsOf(g)
	if err != nil {
		return nil
	}
	return facts
}

// factEvents tells one change on top of facts. A change that only writes the group anew as
// a whole makes nothing happen.
func factEvents(id string, before consumergroup.Facts, change consumergroup.Fact) []event.Event {
	old, _ := before.(*consumergroup.ClassicFacts)
	if old == nil {
		old = &consumergroup.ClassicFacts{}
	}
	switch c := change.(type) {
	case consumergroup.Rebalancing:
		e := groupEvent(event.GroupRebalancing, id, map[string]any{"generation": old.Generation, "member": c.Member, "why": c.Why.String()})
		e.Key, e.Because = event.RebalanceKey(id, old.Generation), []event.Key{event.MemberKey(id, c.Member)}
		return []event.Event{e}
	case consumergroup.Removed:
		return removedEvents(id, c)
	case consumergroup.Replaced:
		return []event.Event{groupEvent(event.GroupMemberReplaced, id,
			map[string]any{"member": c.New.ID, "old": c.Old, "instance": c.New.Instance})}
	case consumergroup.Formed:
		return formedEvents(id, old, c)
	case consumergroup.Assigned:
		e := groupEvent(event.GroupStable, id, map[string]any{"generation": old.Generation, "members": len(c.Assignments)})
		e.Because = []event.Key{event.GenerationKey(id, old.Generation)}
		return []event.Event{e}
	}
	return nil
}

func removedEvents(id string, c consumergroup.Removed) []event.Event {
	kind := event.GroupMemberExpired
	if c.Why == consumergroup.Leaves {
		kind = event.GroupMemberLeft
	}
	var events []event.Event
	for _, m := range c.Members {
		e := groupEvent(kind, id, map[string]any{"member": m, "why": c.Why.String()})
		e.Key = event.MemberKey(id, m)
		events = append(events, e)
	}
	return events
}

func formedEvents(id string, old *consumergroup.ClassicFacts, c consumergroup.Formed) []event.Event {
	if c.Generation == old.Generation {
		return nil
	}
	was := make(map[string]bool, len(old.Members))
	for i := range old.Members {
		was[old.Members[i].ID] = true
	}
	because := []event.Key{event.RebalanceKey(id, old.Generation)}
	var events []event.Event
	for i := range c.Members {
		m := &c.Members[i]
		if was[m.ID] {
			continue
		}
		e := groupEvent(event.GroupMemberJoined, id, map[string]any{"member": m.ID, "instance": m.Instance, "client": m.ClientID, "host": m.ClientHost})
		e.Because = because
		events = append(events, e)
	}
	e := groupEvent(event.GroupGeneration, id, map[string]any{
		"generation": c.Generation, "members": len(c.Members), "leader": c.Leader, "protocol": c.Protocol,
	})
	e.Key, e.Because = event.GenerationKey(id, c.Generation), because
	return append(events, e)
}

func groupEvent(kind event.Kind, id string, data map[string]any) event.Event {
	e := event.Event{Kind: kind, Part: -1, Data: map[string]any{"group": id}}
	maps.Copy(e.Data, data)
	return e
}
