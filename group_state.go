package brokersim

import (
	"cmp"
	"fmt"
	"slices"
)

// A TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String is as people write it: orders-0.
func (tp TopicPartition) String() string { return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition) }

func byTopicAndNumber(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// GroupState is what is committed of a consumer group: who belongs to it and what each
// owns, as the coordinator decided, and how far it has come, as its broker knows. A
// client that has committed offsets without joining makes a group, too: an Empty one.
type GroupState struct {
	ID           string
	Kind         string        // "classic"
	State        string        // Empty, PreparingRebalance, CompletingRebalance or Stable
	Generation   int32         // 0: none was formed yet
	ProtocolType string        // "consumer", or what else its members joined by; "" if nobody ever did
	Protocol     string        // how the generation assigns; "" without members
	Leader       string        // member id of the group leader; "" without members
	Broker       int32         // the group's broker, that FindCoordinator names; -1: none
	Members      []GroupMember // who has been in a generation, the first to come first

	// Offsets is what the group has committed: the offset of the record to be read next.
	// It is nil while no broker serves the group: it has none, or that one is still reading.
	Offsets map[TopicPartition]int64
	// Pending says that the newest of Offsets is not with all in-sync replicas yet: no client
	// was told of it, and it can still be lost.
	Pending bool
}

// GroupMember is a member of a group.
type GroupMember struct {
	ID       string
	Instance string // group.instance.id; "" of a dynamic member
	ClientID string
	Host     string // as Kafka shows it: "/127.0.0.1"
	// Subscribed are the topics that it asks for, in order; nil if that is not known: it
	// is, of "consumer" groups, from when a generation is formed.
	Subscribed []string
	// Owns is what the newest assignment gave it, by topic, partitions in order. It is
	// empty between the forming of a generation and its assignment; while a group prepares
	// to rebalance it is what the generation gave that is ending.
	Owns map[string][]int32
}

// Owner returns the member that owns a partition. While a group rebalances there may be none.
func (g GroupState) Owner(topic string, partition int32) (GroupMember, bool) {
	i := slices.IndexFunc(g.Members, func(m GroupMember) bool { return slices.Contains(m.Owns[topic], partition) })
	if i < 0 {
		return GroupMember{}, false
	}
	return g.Members[i], true
}

// Group returns a group of the snapshot.
func (s Snapshot) Group(id string) (GroupState, bool) {
	i, ok := slices.BinarySearchFunc(s.Groups, id, func(g GroupState, id string) int { return cmp.Compare(g.ID, id) })
	if !ok {
		return GroupState{}, false
	}
	return s.Groups[i], true
}

// serves reports whether a group's broker knows all that the group has committed. Before
// __consumer_offsets is made, nobody has committed anything.
func (s Snapshot) serves(group string) bool {
	partitions := 0
	for _, p := range s.Partitions {
		if p.Topic == offsetsTopic {
			partitions++
		}
	}
	return partitions == 0 || s.served[groupPartition(group, partitions)]
}
