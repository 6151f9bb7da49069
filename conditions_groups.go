package brokersim

import (
	"fmt"
	"slices"
)

// GroupStable holds when the group is Stable, has that many members, and they own every
// partition of the topics that they subscribe to. That is more than Kafka's word
// says: a group that rebalances cooperatively is Stable for a moment before it is done.
func GroupStable(group string, members int) Cond {
	return onGroup(group, func(s Snapshot, g GroupState) (bool, string) {
		if g.State != "Stable" || len(g.Members) != members {
			return false, fmt.Sprintf("group %s to be Stable with %d members: it is %s with %d", group, members, g.State, len(g.Members))
		}
		for _, p := range s.Partitions {
			subscribes := func(m GroupMember) bool { return slices.Contains(m.Subscribed, p.Topic) }
			if _, owned := g.Owner(p.Topic, p.Partition); !owned && slices.ContainsFunc(g.Members, subscribes) {
				return false, fmt.Sprintf("a member of group %s to own %s-%d, in generation %d nobody does", group, p.Topic, p.Partition, g.Generation)
			}
		}
		return true, ""
	})
}

// GroupEmpty holds when the group exists and has no members.
func GroupEmpty(group string) Cond {
	return onGroup(group, func(_ Snapshot, g GroupState) (bool, string) {
		return g.State == "Empty", fmt.Sprintf("group %s to be Empty: it is %s with %d members", group, g.State, len(g.Members))
	})
}

// GroupGone holds when there is no such group, and nothing that it has committed.
func GroupGone(group string) Cond {
	return func(s Snapshot) (bool, string) {
		if g, ok := s.Group(group); ok {
			return false, fmt.Sprintf("group %s to be gone: it is %s with %d offsets", group, g.State, len(g.Offsets))
		}
		return s.serves(group), fmt.Sprintf("a broker that knows whether group %s has committed offsets", group)
	}
}

// GroupGeneration holds when the group is in that generation or a later one, whatever
// its state.
func GroupGeneration(group string, atLeast int32) Cond {
	return onGroup(group, func(_ Snapshot, g GroupState) (bool, string) {
		return g.Generation >= atLeast, fmt.Sprintf("generation %d of group %s: it is in %d", atLeast, group, g.Generation)
	})
}

// GroupServed holds when the group's broker knows what the group has committed, and serves it.
func GroupServed(group string) Cond {
	return onGroup(group, func(_ Snapshot, g GroupState) (bool, string) {
		return g.Offsets != nil, fmt.Sprintf("a broker to serve group %s: FindCoordinator names %d", group, g.Broker)
	})
}

// OwnedBy holds when a member with that client id owns the partition, by the newest
// assignment of the group. What the client believes is for the client to say.
func OwnedBy(group, topic string, partition int32, clientID string) Cond {
	return onGroup(group, func(_ Snapshot, g GroupState) (bool, string) {
		m, ok := g.Owner(topic, partition)
		owner := fmt.Sprintf("%q does", m.ClientID)
		if !ok {
			owner = "nobody does"
		}
		return ok && m.ClientID == clientID, fmt.Sprintf("%q to own %s-%d in group %s: %s", clientID, topic, partition, group, owner)
	})
}

// CommittedOffset holds when the group has committed that offset of a partition or a later one,
// and no crash of a broker can undo that.
func CommittedOffset(group, topic string, partition int32, atLeast int64) Cond {
	at := TopicPartition{topic, partition}
	return onGroup(group, func(_ Snapshot, g GroupState) (bool, string) {
		offset, ok := g.Offsets[at]
		switch {
		case g.Offsets == nil:
			return false, fmt.Sprintf("a broker to serve group %s: FindCoordinator names %d", group, g.Broker)
		case !ok:
			return false, fmt.Sprintf("group %s to commit offset %d of %v: it has committed nothing there", group, atLeast, at)
		case offset >= atLeast && g.Pending:
			return false, fmt.Sprintf("the in-sync replicas of %s to have what group %s commits", offsetsTopic, group)
		}
		return offset >= atLeast, fmt.Sprintf("group %s to commit offset %d of %v: it is at %d", group, atLeast, at, offset)
	})
}

func onGroup(group string, look func(Snapshot, GroupState) (bool, string)) Cond {
	return func(s Snapshot) (bool, string) {
		g, ok := s.Group(group)
		if !ok {
			return false, fmt.Sprintf("group %s to exist", group)
		}
		return look(s, g)
	}
}
