package metadata

import (
	"maps"
	"slices"
)

// Bounds of what is kept of one group.
const (
	// MaxGroupFacts is the most bytes that one change of a group has.
	MaxGroupFacts = 4 << 20
	// MaxGroupChanges is how many changes are kept of a group before they are to be
	// replaced by one that is whole.
	MaxGroupChanges = 64
)

// A Group is what is committed of one group: the changes that make it out of
// nothing. What they say is between the active coordinator and the group's broker, in
// the encoding of package consumergroup; nobody else looks into them. The slices
// must not be written to.
type Group struct {
	Offset int64    // metadata offset of the newest change
	Whole  []byte   // makes the group out of nothing
	Since  [][]byte // what has changed since, in order
}

// Size is how many bytes are kept of the group.
func (g Group) Size() (n int) {
	for _, b := range g.Since {
		n += len(b)
	}
	return n + len(g.Whole)
}

// GroupChanged is a change of one group. Whole facts take the place of all that were
// kept before; none, and whole, say that the group is no more.
type GroupChanged struct {
	ID    string
	Whole bool
	Facts []byte
}

// Group returns what is committed of a group.
func (im *Image) Group(id string) (Group, bool) {
	g, ok := im.groups[groupShard(id)][id]
	return g, ok
}

// GroupIDs returns the id of every group, in order.
func (im *Image) GroupIDs() []string {
	var ids []string
	for _, shard := range im.groups {
		ids = slices.AppendSeq(ids, maps.Keys(shard))
	}
	slices.Sort(ids)
	return ids
}

// groupShards is into how many maps groups are spread: a change copies one of them.
const groupShards = 64

type groups [groupShards]map[string]Group

// groupShard chooses a map by FNV-1a.
func groupShard(id string) int {
	h := uint32(2166136261)
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return int(h % groupShards)
}

func (e *edit) writableGroups(id string) map[string]Group {
	i := groupShard(id)
	if !e.ownGroups[i] {
		e.groups[i], e.ownGroups[i] = cloneMap(e.groups[i]), true
	}
	return e.groups[i]
}

func (d GroupChanged) apply(e *edit) {
	old, known := e.Group(d.ID)
	switch {
	case d.Whole && len(d.Facts) == 0:
		if known {
			delete(e.writableGroups(d.ID), d.ID)
		}
	case d.Whole:
		e.writableGroups(d.ID)[d.ID] = Group{Offset: e.offset, Whole: d.Facts}
	case known && len(d.Facts) > 0:
		old.Offset = e.offset
		old.Since = append(slices.Clip(old.Since), d.Facts)
		e.writableGroups(d.ID)[d.ID] = old
	}
}

func (d GroupChanged) encode(e *Encoder) {
	e.Byte(tagGroupChanged)
	e.String(d.ID)
	e.Bool(d.Whole)
	e.Bytes(d.Facts)
}

func decodeGroupChanged(d *Decoder) GroupChanged {
	return GroupChanged{ID: d.String(), Whole: d.Bool(), Facts: d.Bytes(MaxGroupFacts)}
}

// encodeGroups appends all groups, and nothing if there are none: an image without groups
// has the bytes that it had before there were any.
func (im *Image) encodeGroups(e *Encoder) {
	ids := im.GroupIDs()
	if len(ids) == 0 {
		return
	}
	e.Len(len(ids))
	for _, id := range ids {
		g, _ := im.Group(id)
		e.String(id)
		e.Int(g.Offset)
		e.Bytes(g.Whole)
		e.Len(len(g.Since))
		for _, b := range g.Since {
			e.Bytes(b)
		}
	}
}

func (im *Image) decodeGroups(d *Decoder) {
	if !d.More() {
		return
	}
	n, last := d.Len(4), ""
	if n == 0 {
		d.Fail("a list of no groups")
	}
	for i := range n {
		id := d.String()
		g := Group{Offset: d.Int(), Whole: d.Bytes(MaxGroupFacts), Since: List(d, 1, func(d *Decoder) []byte { return d.Bytes(MaxGroupFacts) })}
		if i > 0 && id <= last {
			d.Fail("group %q is out of order", id)
		}
		empty := len(g.Whole) == 0 || slices.ContainsFunc(g.Since, func(b []byte) bool { return len(b) == 0 })
		if empty {
			d.Fail("group %q has a change that says nothing", id)
		}
		if d.Err() != nil {
			return
		}
		shard := &im.groups[groupShard(id)]
		if *shard == nil {
			*shard = map[string]Group{}
		}
		(*shard)[id], last = g, id
	}
}
