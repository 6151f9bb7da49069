package invariant

import (
	"fmt"
	"maps"
	"slices"
)

// A Group is what was seen of one consumer group.
type Group struct {
	ID         string
	State      string // as Kafka spells it
	Generation int32
	Leader     string // member id
	Members    []Member
	// Covered says that the members have agreed to share all partitions of the topics that they
	// subscribe to. While a group rebalances cooperatively, and where clients assign as they
	// like, some may be nobody's.
	Covered bool
	// Partitions is how many there are of each topic that was there before the generation was.
	Partitions map[string]int
	Committed  []Committed
}

// A Member is a member of a group.
type Member struct {
	ID, Instance string
	Subscribed   []string // nil: not known
	Owns         map[string][]int32
}

// Committed is how far a group has come in a partition, and how far it can have come.
type Committed struct {
	Topic     string
	Partition int32
	Offset    int64
	Limit     int64 // the highest offset that any high watermark of the partition may have had
}

// CheckGroup returns every rule that a group breaks, each as an error that names it.
func CheckGroup(g Group) []error {
	c := groupChecker{group: g}
	c.membership()
	c.owners()
	for _, o := range g.Committed {
		c.must(0 <= o.Offset && o.Offset <= o.Limit, "offset %d of %s-%d is committed, and no record beyond %d is", o.Offset, o.Topic, o.Partition, o.Limit)
	}
	return c.broken
}

type groupChecker struct {
	group  Group
	broken []error
}

func (c *groupChecker) must(ok bool, format string, args ...any) {
	if !ok {
		where := fmt.Sprintf("group %s, %s in generation %d: ", c.group.ID, c.group.State, c.group.Generation)
		c.broken = append(c.broken, fmt.Errorf(where+format, args...))
	}
}

func (c *groupChecker) membership() {
	ids, instances := map[string]bool{}, map[string]bool{}
	for _, m := range c.group.Members {
		c.must(!ids[m.ID], "%s is a member twice", m.ID)
		c.must(m.Instance == "" || !instances[m.Instance], "instance %s is a member twice", m.Instance)
		ids[m.ID], instances[m.Instance] = true, true
	}
	if len(ids) > 0 {
		c.must(ids[c.group.Leader], "its leader %q is no member", c.group.Leader)
	}
	switch c.group.State {
	case "Empty":
		c.must(len(ids) == 0, "it has %d members", len(ids))
	case "CompletingRebalance", "Stable":
		c.must(len(ids) > 0, "it has no members")
	}
}

// owners checks that nothing has two, and in the end nothing none.
func (c *groupChecker) owners() {
	type place struct {
		topic     string
		partition int32
	}
	owner := map[place]string{}
	subscribed := map[string]bool{}
	for _, m := range c.group.Members {
		for _, topic := range slices.Sorted(maps.Keys(m.Owns)) {
			for _, partition := range m.Owns[topic] {
				at := place{topic, partition}
				c.must(owner[at] == "", "%s-%d belongs to %s and to %s", topic, partition, owner[at], m.ID)
				owner[at] = m.ID
			}
		}
		for _, topic := range m.Subscribed {
			subscribed[topic] = true
		}
	}
	if c.group.State != "Stable" || !c.group.Covered {
		return
	}
	for _, topic := range slices.Sorted(maps.Keys(subscribed)) {
		for partition := range int32(c.group.Partitions[topic]) {
			c.must(owner[place{topic, partition}] != "", "%s-%d belongs to nobody", topic, partition)
		}
	}
}
