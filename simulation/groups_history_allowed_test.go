package simulation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/simulation"
)

func TestCheckAllowsInGroups(t *testing.T) {
	for name, tell := range map[string]func(h *groupTale){
		"a handover": func(h *groupTale) {
			h.works()
			h.shows(5, "ann-1")
			h.handsOver()
			h.commits("bob-1", 2, 10)
			h.shows(10, "bob-1")
		},
		"an owner that was silent for its session": func(h *groupTale) {
			h.owns(ann, 1)
			h.calm(ann)
			h.after(4 * time.Second)
			h.calm(ann)
			h.after(5 * time.Second)
			h.owns(bob, 2)
		},
		"one that was told to rejoin, and did not in time": func(h *groupTale) {
			h.owns(ann, 1)
			h.calm(ann)
			h.after(4 * time.Second)
			h.told(ann)
			h.after(4 * time.Second)
			h.told(ann)
			h.after(2 * time.Second)
			h.owns(bob, 2)
		},
		"a member that takes in late what it was told": func(h *groupTale) {
			h.calm(bob)
			h.after(5 * time.Second)
			h.owns(ann, 2)
			h.believes(bob, 1)
		},
		"one that has ended": func(h *groupTale) {
			h.owns(ann, 1)
			h.calm(ann)
			h.Ended(ann)
			h.owns(bob, 2)
		},
		"the next process of a static member": func(h *groupTale) {
			h.owns(till("till-1"), 1)
			h.calm(till("till-1"))
			h.owns(till("till-2"), 1)
		},
		"the same owner in the next generation": func(h *groupTale) {
			h.owns(ann, 1)
			h.calm(ann)
			h.owns(ann, 2)
		},
		"an unacknowledged commit that shows up within its generation": func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			lost := h.sends("ann-1", 1, 7)
			h.shows(5, "ann-1")
			h.Ends(lost, simulation.Unknown, false)
			h.shows(7, "ann-1")
		},
		"one that never does": func(h *groupTale) {
			h.works()
			h.Ends(h.sends("ann-1", 1, 7), simulation.Unknown, false)
			h.handsOver()
			h.shows(5, "ann-1")
		},
		"one that the next generation finds": func(h *groupTale) {
			h.works()
			h.Ends(h.sends("ann-1", 1, 7), simulation.Unknown, false)
			h.handsOver()
			h.shows(7, "ann-1")
		},
		"one that arrives after another": func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			h.Ends(h.sends("ann-1", 1, 7), simulation.Unknown, true)
			h.commits("ann-1", 1, 8)
			h.shows(7, "ann-1")
		},
		"an older one that is sent again": func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			twice := h.sends("ann-1", 1, 7)
			h.Ends(twice, simulation.Acked, false)
			h.commits("ann-1", 1, 8)
			h.shows(7, "ann-1")
		},
		"a fetch that was under way": func(h *groupTale) {
			h.works()
			h.delivers(5, 10)
			began := h.Tick()
			h.commits("ann-1", 1, 8)
			h.showsSince(began, 5, "ann-1")
		},
		"a commit that is refused": func(h *groupTale) {
			h.works()
			h.handsOver()
			h.Ends(h.sends("ann-1", 1, 7), simulation.Refused, true)
			h.shows(5, "ann-1")
		},
		"a reset while the group is empty": func(h *groupTale) {
			h.works()
			h.decided(event.GroupMemberLeft, map[string]any{"member": "ann-1"})
			h.Released(ann, []simulation.Place{orders})
			h.resets(2)
			h.shows(2, "")
			h.forms(2, "bob-1")
			h.owns(bob, 2)
			h.commits("bob-1", 2, 3)
			h.shows(3, "bob-1")
		},
		"the next process of a static member commits": func(h *groupTale) {
			h.forms(1, "till-1")
			h.delivers(0, 5)
			h.replaces("till-1", "till-2")
			h.commits("till-2", 1, 5)
		},
		"more generations than were told of": func(h *groupTale) {
			h.works()
			h.decided(event.Lost, nil)
			h.forms(7)
			h.commits("bob-1", 5, 5)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newGroupTale()
			tell(h)
			require.Empty(t, h.found())
		})
	}
}

// One look at a group that is Stable.
func TestCheckRoll(t *testing.T) {
	bills := simulation.Place{Topic: "bills"}
	both := []simulation.Place{orders, bills}
	for _, c := range []struct {
		name        string
		given       map[string][]simulation.Place
		cooperative bool
		want        string
	}{
		{"all is owned", map[string][]simulation.Place{"ann": {bills}, "bob": {orders}}, false, ""},
		{"two owners", map[string][]simulation.Place{"ann": both, "bob": {orders}}, false, "two owners: orders-0 is assigned to ann and to bob in one generation of billing"},
		{"two cooperative owners", map[string][]simulation.Place{"ann": both, "bob": {orders}}, true, "two owners"},
		{"no owner", map[string][]simulation.Place{"ann": {bills}}, false, "no owner: of orders-0"},
		{"no cooperative owner yet", map[string][]simulation.Place{"ann": {bills}}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := simulation.CheckRoll(simulation.Group{Name: "billing", Cooperative: c.cooperative}, both, c.given)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}
