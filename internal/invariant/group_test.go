package invariant

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shared is a group of two members that share three partitions.
func shared() Group {
	return Group{
		ID: "billing", State: "Stable", Generation: 4, Leader: "a-1", Covered: true, Partitions: map[string]int{"orders": 3},
		Members: []Member{
			{ID: "a-1", Subscribed: []string{"orders"}, Owns: map[string][]int32{"orders": {0, 2}}},
			{ID: "b-1", Instance: "b", Subscribed: []string{"orders", "later"}, Owns: map[string][]int32{"orders": {1}}},
		},
		Committed: []Committed{{Topic: "orders", Offset: 10, Limit: 10}, {Topic: "orders", Partition: 1, Limit: 10}},
	}
}

func TestSharedGroupBreaksNothing(t *testing.T) {
	require.Empty(t, CheckGroup(shared()))
	require.Empty(t, CheckGroup(Group{ID: "simple", State: "Empty"}))
}

// Each case breaks one rule; the check must name it.
func TestCheckGroupFinds(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*Group)
		want string
	}{
		"a member twice":          {func(g *Group) { g.Members[1].ID = "a-1" }, "a-1 is a member twice"},
		"an instance twice":       {func(g *Group) { g.Members[0].Instance = "b" }, "instance b is a member twice"},
		"a leader from outside":   {func(g *Group) { g.Leader = "c-1" }, `its leader "c-1" is no member`},
		"empty with members":      {func(g *Group) { g.State = "Empty" }, "it has 2 members"},
		"stable without members":  {func(g *Group) { g.Members = nil }, "it has no members"},
		"two owners":              {func(g *Group) { g.Members[1].Owns["orders"] = []int32{1, 2} }, "orders-2 belongs to a-1 and to b-1"},
		"no owner":                {func(g *Group) { g.Members[0].Owns["orders"] = []int32{0} }, "orders-2 belongs to nobody"},
		"beyond what there is":    {func(g *Group) { g.Committed[0].Offset = 11 }, "offset 11 of orders-0 is committed, and no record beyond 10 is"},
		"an offset that is none":  {func(g *Group) { g.Committed[1].Offset = -1 }, "offset -1 of orders-1"},
		"two owners, rebalancing": {func(g *Group) { g.State = "PreparingRebalance"; g.Members[1].Owns["orders"] = []int32{2} }, "orders-2 belongs to a-1 and to b-1"},
	} {
		t.Run(name, func(t *testing.T) {
			g := shared()
			c.harm(&g)
			broken := CheckGroup(g)
			require.True(t, slices.ContainsFunc(broken, func(err error) bool { return strings.Contains(err.Error(), c.want) }),
				"%v\nnames nothing like %q", broken, c.want)
			require.Contains(t, broken[0].Error(), "group billing, ")
		})
	}
}

// What is legal must not be flagged.
func TestCheckGroupAllows(t *testing.T) {
	for name, change := range map[string]func(*Group){
		"nobody's in a cooperative rebalance": func(g *Group) { g.Covered = false; g.Members[0].Owns = nil },
		"nobody's before the assignment":      func(g *Group) { g.State = "CompletingRebalance"; g.Members[0].Owns, g.Members[1].Owns = nil, nil },
		"a topic that came later":             func(g *Group) { delete(g.Partitions, "orders"); g.Members[0].Owns = nil },
		"who tells no subscription":           func(g *Group) { g.Members = []Member{{ID: "a-1"}} },
		"the first to join":                   func(g *Group) { *g = Group{ID: "new", State: "PreparingRebalance"} },
	} {
		t.Run(name, func(t *testing.T) {
			g := shared()
			change(&g)
			require.Empty(t, CheckGroup(g))
		})
	}
}

func TestHistoryOfGenerations(t *testing.T) {
	var h History
	require.NoError(t, h.Formed("billing", 1))
	require.NoError(t, h.Formed("other", 1))
	require.NoError(t, h.Formed("billing", 3))
	require.ErrorContains(t, h.Formed("billing", 3), "group billing: generation 3 is formed after generation 3")
	require.ErrorContains(t, h.Formed("billing", 2), "after generation 3")
	h.Deleted("billing")
	require.NoError(t, h.Formed("billing", 1), "another group of the same name")
}
