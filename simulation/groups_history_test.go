package simulation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/simulation"
)

// A groupTale is a history of the group "billing", which works on orders-0: ten records, a to j.
type groupTale struct {
	tale
	now   time.Time
	wrong []error // what was found at once
}

func newGroupTale() *groupTale {
	h := &groupTale{now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i, v := range records {
		h.put(v, int64(i))
	}
	h.reads("end", 0, records...)
	return h
}

var records = []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}

// found is everything that is wrong.
func (h *groupTale) found() []error {
	_, wrong := h.Check()
	return append(h.wrong, wrong...)
}

func (h *groupTale) note(err error) {
	if err != nil {
		h.wrong = append(h.wrong, err)
	}
}

func (h *groupTale) decided(kind event.Kind, data map[string]any) {
	if data != nil {
		data["group"] = "billing"
	}
	h.note(h.Decided(event.Event{Kind: kind, Data: data}))
}

// forms has a generation formed of who was in the last one, and of newcomers.
func (h *groupTale) forms(generation int32, newcomers ...string) {
	for _, m := range newcomers {
		h.decided(event.GroupMemberJoined, map[string]any{"member": m})
	}
	h.decided(event.GroupGeneration, map[string]any{"generation": generation})
}

func (h *groupTale) replaces(old, next string) {
	h.decided(event.GroupMemberReplaced, map[string]any{"old": old, "member": next})
	h.Meets(next)
}

// The group waits five seconds for a member that it does not hear, and ten for one to rejoin; the tills are two processes of
// one static member.
func owner(name string) simulation.Owner {
	return simulation.Owner{Group: "billing", Name: name, Session: 5 * time.Second, Rebalance: 10 * time.Second}
}

var ann, bob = owner("ann"), owner("bob")

func till(process string) simulation.Owner {
	o := owner(process)
	o.Instance = "till"
	return o
}

// owns has a member be told that it owns orders-0, and believe so at once.
func (h *groupTale) owns(o simulation.Owner, generation int32) {
	h.calm(o)
	h.believes(o, generation)
}

// believes has a member believe what it was told some time ago.
func (h *groupTale) believes(o simulation.Owner, generation int32) {
	h.note(h.Assigned(o, generation, []simulation.Place{orders}, h.now))
}

// calm has a member hear that nothing changes, told that it is to rejoin.
func (h *groupTale) calm(o simulation.Owner) { h.Heard(o, h.now, true) }
func (h *groupTale) told(o simulation.Owner) { h.Heard(o, h.now, false) }

func (h *groupTale) after(d time.Duration) { h.now = h.now.Add(d) }

// delivers has members be given records.
func (h *groupTale) delivers(from, to int64) {
	for o := from; o < to; o++ {
		h.Delivered("billing", orders, o)
	}
}

func (h *groupTale) sends(member string, generation int32, offset int64) *simulation.Commit {
	note := fmt.Sprintf("%s/%d", member, offset)
	return h.Commits(simulation.Commit{Group: "billing", Member: member, Generation: generation, Place: orders, Offset: offset, Note: note})[0]
}

// commits has a commit sent once and acknowledged.
func (h *groupTale) commits(member string, generation int32, offset int64) {
	h.Ends(h.sends(member, generation, offset), simulation.Acked, true)
}

func (h *groupTale) resets(offset int64) { h.commits("", -1, offset) }

// shows tells somebody what is committed; by is whose commit that is.
func (h *groupTale) shows(offset int64, by string) { h.showsSince(h.Tick(), offset, by) }

func (h *groupTale) showsSince(began int, offset int64, by string) {
	note := ""
	if offset >= 0 {
		note = fmt.Sprintf("%s/%d", by, offset)
	}
	h.Shows(simulation.Shown{Group: "billing", Reader: "auditor", Place: orders, Offset: offset, Note: note, Began: began})
}

// works is a good beginning: ann alone, in generation 1, has worked off five records.
func (h *groupTale) works() {
	h.forms(1, "ann-1")
	h.owns(ann, 1)
	h.delivers(0, 5)
	h.commits("ann-1", 1, 5)
}

// handsOver goes on: bob alone owns the partition, in generation 2.
func (h *groupTale) handsOver() {
	h.Released(ann, []simulation.Place{orders})
	h.forms(2, "bob-1")
	h.owns(bob, 2)
	h.delivers(5, 10)
}

func TestCheckFindsInGroups(t *testing.T) {
	for _, c := range []struct {
		name, want string
		tell       func(h *groupTale)
	}{
		{"two own a partition", "two owners: bob of billing is given orders-0, which ann has since 3s", func(h *groupTale) {
			h.owns(ann, 1)
			h.after(3 * time.Second)
			h.calm(ann)
			h.owns(bob, 2)
		}},
		{"a moment before the session ends", "may count on 1ms more", func(h *groupTale) {
			h.owns(ann, 1)
			h.calm(ann)
			h.after(4 * time.Second)
			h.calm(ann)
			h.after(5*time.Second - time.Millisecond)
			h.owns(bob, 2)
		}},
		{"while one still has time to rejoin", "may count on 1s more", func(h *groupTale) {
			h.owns(ann, 1)
			h.calm(ann)
			h.after(time.Second)
			h.calm(ann)
			h.after(4 * time.Second)
			h.told(ann)
			h.after(4 * time.Second)
			h.told(ann)
			h.after(time.Second)
			h.owns(bob, 2)
		}},
		{"two static members", "two owners", func(h *groupTale) {
			h.owns(till("till-1"), 1)
			h.calm(till("till-1"))
			h.owns(bob, 1)
		}},
		{"a commit of the generation before", "late commit: orders-0 of billing: \"ann-1/7\" was sent by member ann-1 in generation 1 after that was known to be over", func(h *groupTale) {
			h.works()
			h.handsOver()
			h.commits("ann-1", 1, 7)
		}},
		{"one that nobody acknowledged, when a newer generation is known", "\"ann-1/7\" was sent by member ann-1 in generation 1 after that was known to be over", func(h *groupTale) {
			h.works()
			h.handsOver()
			h.sends("ann-1", 1, 7)
			h.shows(7, "ann-1")
		}},
		{"one that nobody acknowledged, when the next owner has begun", "\"ann-1/7\" was sent by member ann-1 in generation 1 after that was known to be over", func(h *groupTale) {
			h.works()
			h.handsOver()
			h.shows(5, "ann-1")
			h.sends("ann-1", 1, 7)
			h.shows(7, "ann-1")
		}},
		{"one that nobody acknowledged, when the next owner has committed", "\"ann-1/7\" was sent by member ann-1 in generation 1 after that was known to be over", func(h *groupTale) {
			h.works()
			h.handsOver()
			h.commits("bob-1", 2, 8)
			h.sends("ann-1", 1, 7)
			h.shows(7, "ann-1")
		}},
		{"after one of the next generation, whose members nobody has heard of", "came after \"bob-1/8\"", func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			h.forms(2, "bob-1")
			h.commits("bob-1", 2, 8)
			h.commits("ann-1", 1, 7)
		}},
		{"a commit of the process before", "late commit", func(h *groupTale) {
			h.forms(1, "till-1")
			h.delivers(0, 5)
			h.replaces("till-1", "till-2")
			h.commits("till-1", 1, 5)
		}},
		{"what nobody committed", "phantom commit: orders-0 of billing is shown at 6 by \"ann-1/6\"", func(h *groupTale) {
			h.works()
			h.shows(6, "ann-1")
		}},
		{"what was committed, at another offset", "phantom commit", func(h *groupTale) {
			h.works()
			h.Shows(simulation.Shown{Group: "billing", Reader: "auditor", Place: orders, Offset: 4, Note: "ann-1/5", Began: h.Tick()})
		}},
		{"what is committed only then", "phantom commit", func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			h.shows(9, "ann-1")
			h.commits("ann-1", 1, 9)
		}},
		{"what was refused", "resurrected commit: orders-0 of billing is shown at 7", func(h *groupTale) {
			h.works()
			h.Ends(h.sends("ann-1", 1, 7), simulation.Refused, true)
			h.shows(7, "ann-1")
		}},
		{"a commit of no member", "stranger: orders-0 of billing: \"bob-1/5\" was taken from bob-1", func(h *groupTale) {
			h.works()
			h.commits("bob-1", 1, 5)
		}},
		{"a commit of a member of later", "stranger", func(h *groupTale) {
			h.works()
			h.forms(2, "bob-1")
			h.commits("bob-1", 1, 5)
		}},
		{"a commit of who has left", "stranger", func(h *groupTale) {
			h.works()
			h.decided(event.GroupMemberLeft, map[string]any{"member": "ann-1"})
			h.forms(2, "bob-1")
			h.commits("ann-1", 2, 5)
		}},
		{"nothing is committed any more", "lost commit: orders-0 of billing: auditor is shown \"nothing\" at -1, though \"ann-1/5\"", func(h *groupTale) {
			h.works()
			h.shows(-1, "")
		}},
		{"a newer commit is not", "lost commit", func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			h.commits("ann-1", 1, 8)
			h.shows(5, "ann-1")
		}},
		{"what was shown is gone, though nobody acknowledged it", "lost commit", func(h *groupTale) {
			h.works()
			h.sends("ann-1", 1, 7)
			h.shows(7, "ann-1")
			h.shows(5, "ann-1")
		}},
		{"the last generation's is shown instead of this one's", "lost commit", func(h *groupTale) {
			h.works()
			lost := h.sends("ann-1", 1, 7)
			h.handsOver()
			h.commits("bob-1", 2, 10)
			h.Ends(lost, simulation.Unknown, false)
			h.shows(7, "ann-1")
		}},
		{"a reset is undone by a commit that was on its way", "lost commit", func(h *groupTale) {
			h.works()
			h.sends("ann-1", 1, 7)
			h.resets(2)
			h.shows(7, "ann-1")
		}},
		{"a reset is forgotten", "lost commit", func(h *groupTale) {
			h.works()
			h.resets(2)
			h.shows(5, "ann-1")
		}},
		{"a place that is not there", "beyond the end: orders-0 of billing is committed at 11, and it ends at 10", func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			h.commits("ann-1", 1, 11)
		}},
		{"a record that nobody was given", "not delivered: orders-0 of billing is committed at 7", func(h *groupTale) {
			h.works()
			h.delivers(6, 10)
			h.commits("ann-1", 1, 7)
		}},
		{"a record that somebody is given too late", "not delivered", func(h *groupTale) {
			h.works()
			late := h.sends("ann-1", 1, 6)
			h.delivers(5, 10)
			h.Ends(late, simulation.Acked, true)
		}},
		{"a generation is left out", "generations: 3 of billing after 1", func(h *groupTale) {
			h.works()
			h.forms(3)
		}},
		{"a generation comes again", "generations: 1 of billing after 1", func(h *groupTale) {
			h.works()
			h.forms(1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newGroupTale()
			c.tell(h)
			require.Contains(t, fmt.Sprint(h.found()), c.want)
		})
	}
}
