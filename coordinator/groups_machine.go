package coordinator

import (
	"container/heap"
	"time"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
)

// A machine is one group at work.
type machine struct {
	id        string
	group     consumergroup.Group
	proposing bool
	next      time.Time // when to tick
	index     int       // in the heap; -1: not in it
}

// A proposal is a change of a group that waits for its turn.
type proposal struct {
	m       *machine
	command state.ChangeGroup
}

// An outcome is what became of a proposal.
type outcome struct {
	m      *machine
	offset int64
	err    error
}

// rebuildAll makes the machines of the groups that have members.
func (t *groups) rebuildAll(im *metadata.Image, now time.Time) {
	for _, b := range im.Brokers() {
		t.heard[b.ID] = now
	}
	for _, id := range im.GroupIDs() {
		t.rebuild(im, id, now)
	}
}

// rebuild makes a group's machine out of its facts, unless it would have nothing to do.
func (t *groups) rebuild(im *metadata.Image, id string, now time.Time) {
	if _, err := t.build(im, id, now); err != nil {
		t.a.n.logger.Error("a group cannot be rebuilt", "group", id, "error", err)
	}
}

func (t *groups) build(im *metadata.Image, id string, now time.Time) (*machine, error) {
	kept, _ := im.Group(id)
	facts, err := consumergroup.FactsOf(kept)
	if err != nil {
		return nil, err
	}
	g, d, err := consumergroup.Rebuild(id, t.config, facts, kept.Offset, now)
	if err != nil {
		return nil, err
	}
	m := &machine{id: id, group: g, index: -1}
	t.machines[id] = m
	t.decided(m, d, now)
	return m, nil
}

// machine returns a group's machine, made now if need be.
func (t *groups) machine(id string, now time.Time) (*machine, error) {
	if m := t.machines[id]; m != nil {
		return m, nil
	}
	im, _ := t.a.n.history.latest()
	m, err := t.build(im, id, now)
	if err != nil {
		return nil, err
	}
	t.machines[id] = m // also one with nothing to do yet
	return m, nil
}

// proposal makes a command of what a machine has decided. Now and then the group is
// written as a whole, so that what is kept of it stays small.
func (t *groups) proposal(m *machine, changes []consumergroup.Fact) proposal {
	before, offset := m.group.Facts()
	c := state.ChangeGroup{ID: m.id, Presumes: offset, Facts: consumergroup.AppendFacts(nil, changes)}
	if before == nil {
		c.Presumes = 0
	}
	after := consumergroup.Replay(before, changes...)
	im, _ := t.a.n.history.latest()
	kept, _ := im.Group(m.id)
	last := changes[len(changes)-1]
	_, formed := last.(consumergroup.Formed)
	switch {
	case after == nil:
		c.Whole, c.Facts = true, nil
	case formed:
		c.Whole = true
	case before == nil, len(kept.Since) >= metadata.MaxGroupChanges/2, kept.Size()+len(c.Facts) > max(2*len(kept.Whole), smallGroup):
		// The changes go before: that is what happened.
		c.Whole, c.Facts = true, consumergroup.AppendFacts(nil, append(changes[:len(changes):len(changes)], consumergroup.Whole(after)...))
	}
	return proposal{m, c}
}

// smallGroup is a size, in bytes, below which a group need not be made whole.
const smallGroup = 16 << 10

// submit hands proposals that wait to Raft, some at a time.
func (t *groups) submit() {
	for len(t.queue) > 0 && t.underWay < maxGroupCommands {
		p := t.queue[0]
		t.queue = t.queue[1:]
		t.underWay++
		t.a.spawn(func() {
			r, err := t.a.n.propose(t.a.ctx, p.command)
			select {
			case t.out <- outcome{p.m, r.GroupOffset, err}:
			case <-t.over:
			}
		})
	}
}

// A dueHeap has the machines that are to tick, the next one first.
type dueHeap []*machine

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are for package heap.
func (h *dueHeap) Push(x any) {
	m := x.(*machine)
	m.index = len(*h)
	*h = append(*h, m)
}

// Pop is for package heap.
func (h *dueHeap) Pop() any {
	m := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	m.index = -1
	return m
}

// set has m tick at a time; never if it is zero.
func (h *dueHeap) set(m *machine, at time.Time) {
	if m.index >= 0 {
		heap.Remove(h, m.index)
	}
	m.next = at
	if !at.IsZero() {
		heap.Push(h, m)
	}
}

// first is when the next one is to tick; zero: none.
func (h dueHeap) first() time.Time {
	if len(h) == 0 {
		return time.Time{}
	}
	return h[0].next
}
