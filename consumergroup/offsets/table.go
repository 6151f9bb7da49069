package offsets

import (
	"cmp"
	"maps"
	"slices"
)

// A Table is the newest commit of every group in every place. Its zero value is empty. It
// belongs to whoever calls it: not safe for concurrent use.
type Table struct {
	groups map[string]*group
}

type group struct {
	commits map[Place]Commit
	last    int64 // offset of the newest record that speaks of the group
}

// Take puts what a record says into the table; offset is the record's own.
func (t *Table) Take(r Record, offset int64) {
	g := t.groups[r.Group]
	switch {
	case g == nil && r.Commit == nil:
		return
	case g == nil:
		g = &group{commits: map[Place]Commit{}}
		if t.groups == nil {
			t.groups = map[string]*group{}
		}
		t.groups[r.Group] = g
	}
	g.last = max(g.last, offset)
	if r.Commit != nil {
		g.commits[r.Place] = *r.Commit
		return
	}
	// A group that has nothing left stays: its last tombstone may not be committed yet.
	delete(g.commits, r.Place)
}

// Forget drops groups that have nothing left, and of which all is committed below an offset.
func (t *Table) Forget(committed int64) {
	maps.DeleteFunc(t.groups, func(_ string, g *group) bool { return len(g.commits) == 0 && g.last < committed })
}

// Get returns a group's commit in a place.
func (t *Table) Get(group string, p Place) (Commit, bool) {
	g := t.groups[group]
	if g == nil {
		return Commit{}, false
	}
	c, ok := g.commits[p]
	return c, ok
}

// Last is the offset of the newest record that speaks of the group, -1 if there is none:
// whoever shows the group's commits waits until that is committed.
func (t *Table) Last(group string) int64 {
	if g := t.groups[group]; g != nil {
		return g.last
	}
	return -1
}

// Has reports whether the group has a commit.
func (t *Table) Has(group string) bool {
	g := t.groups[group]
	return g != nil && len(g.commits) > 0
}

// Groups returns the groups that have a commit, in order.
func (t *Table) Groups() []string {
	var ids []string
	for id, g := range t.groups {
		if len(g.commits) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Of returns a copy of all that a group has committed.
func (t *Table) Of(group string) map[Place]Commit {
	if g := t.groups[group]; g != nil {
		return maps.Clone(g.commits)
	}
	return nil
}

// Size is the number of groups that have a commit, and that of their commits.
func (t *Table) Size() (groups, commits int) {
	for _, g := range t.groups {
		if len(g.commits) > 0 {
			groups, commits = groups+1, commits+len(g.commits)
		}
	}
	return groups, commits
}

// Places sorts places by topic and number.
func Places(commits map[Place]Commit) []Place {
	return slices.SortedFunc(maps.Keys(commits), func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}
