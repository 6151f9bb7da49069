package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/examples/internal/story"
)

// A telling is the story as it goes.
type telling struct {
	ctx     context.Context
	stage   *story.Stage
	cluster *brokersim.Cluster
	members map[string]*member
	table   []string
	verdict verdict
}

// A verdict is what the story comes to.
type verdict struct {
	Steps, OwnedOnce int // after how many steps each partition had exactly one owner
	Quiet, Kept      int // steps that nobody should notice, and no client gave up, and in how many the generation stayed
	Zombies, Refused int // commits of who has no right to, and how many were refused
}

func (v verdict) OK() bool {
	return v.Steps > 0 && v.OwnedOnce == v.Steps && v.Kept == v.Quiet && v.Refused == v.Zombies
}

func (v verdict) String() string {
	return fmt.Sprintf("verdict: steps=%d owned-once=%d quiet=%d generation-kept=%d zombies=%d refused=%d",
		v.Steps, v.OwnedOnce, v.Quiet, v.Kept, v.Zombies, v.Refused)
}

// A step is something that befalls the group.
type step struct {
	what  string
	do    action
	quiet bool // nobody should notice: the generation stays
}

// An action does it, and returns who does not know that it was done.
type action func() ([]zombie, error)

// take does a step, waits until the group has settled, and notes who owns what. Then
// zombies commit.
func (t *telling) take(s step) error {
	t.stage.Heading("%s", s.what)
	t.stage.Zero()
	before, _ := t.cluster.Snapshot().Group(group)
	for _, m := range t.members {
		m.gaveUp.Store(false)
	}
	zombies, err := s.do()
	if err != nil {
		return err
	}
	if err := t.cluster.Wait(t.ctx, brokersim.All(brokersim.GroupStable(group, len(t.members)), t.told)); err != nil {
		return err
	}
	g, _ := t.cluster.Snapshot().Group(group)
	t.verdict.Steps++
	if ownedOnce(g) {
		t.verdict.OwnedOnce++
	}
	kept := g.Generation == before.Generation
	if s.quiet && !t.gaveUp() {
		t.verdict.Quiet++
		if kept {
			t.verdict.Kept++
		}
	}
	t.stage.Say("generation %d, %s: %s", g.Generation, map[bool]string{true: "as before", false: "a new one"}[kept], story.Owners(g))
	t.row(s.what, g)
	for _, z := range zombies {
		if err := t.letCommit(z); err != nil {
			return err
		}
	}
	return nil
}

// gaveUp reports, and says, whose client gave up by itself in this step. Then the group notices.
func (t *telling) gaveUp() (found bool) {
	for _, name := range slices.Sorted(maps.Keys(t.members)) {
		if t.members[name].gaveUp.Load() {
			t.stage.Say("%s's client did not find the group's broker in three tries, and joined anew", name)
			found = true
		}
	}
	return found
}

// told holds when each member knows that it is one, and of which generation: from then on
// whatever was true before is refused.
func (t *telling) told(s brokersim.Snapshot) (bool, string) {
	g, _ := s.Group(group)
	for name, m := range t.members {
		id, generation := m.client.GroupMetadata()
		listed := slices.ContainsFunc(g.Members, func(m brokersim.GroupMember) bool { return m.ID == id })
		if !listed || generation != g.Generation {
			return false, fmt.Sprintf("%s to know of generation %d", name, g.Generation)
		}
	}
	return true, ""
}

// ownedOnce reports whether each partition has exactly one owner, and it is one that lives.
func ownedOnce(g brokersim.GroupState) bool {
	owners := map[int32]int{}
	for _, m := range g.Members {
		for _, p := range m.Owns[story.Topic] {
			owners[p]++
		}
	}
	for p := range int32(partitions) {
		if owners[p] != 1 {
			return false
		}
	}
	return true
}

// row adds a line to the table.
func (t *telling) row(what string, g brokersim.GroupState) {
	names := []string{"ann", "bob", "cay", "dan", "eve"}
	if len(t.table) == 0 {
		t.table = append(t.table, fmt.Sprintf("  %-34s %10s   %s", "after", "generation", columns(names)))
	}
	cells := make([]string, len(names))
	for i, name := range names {
		cells[i] = "-"
		for _, m := range g.Members {
			if m.ClientID == name {
				cells[i] = strings.Trim(fmt.Sprint(m.Owns[story.Topic]), "[]")
			}
			if m.ClientID == name && m.ID == g.Leader {
				cells[i] += " *"
			}
		}
	}
	t.table = append(t.table, fmt.Sprintf("  %-34s %10d   %s", what, g.Generation, columns(cells)))
}

func columns(cells []string) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "%-14s", c)
	}
	return strings.TrimRight(b.String(), " ")
}

// letCommit lets a zombie try.
func (t *telling) letCommit(z zombie) error {
	t.verdict.Zombies++
	err := z.commit(t.ctx, t.cluster)
	var refusal *kerr.Error
	switch {
	case err == nil:
		t.stage.Say("%s commits for generation %d, and is let in", z.who, z.generation)
	case errors.As(err, &refusal):
		t.verdict.Refused++
		t.stage.Say("%s commits for generation %d and is refused: %v", z.who, z.generation, err)
	default:
		return err
	}
	return nil
}
