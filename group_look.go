package brokersim

import (
	"maps"
	"slices"
	"sync"

	"github.com/brokersim/brokersim/broker/groups"
	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/metadata"
)

const offsetsTopic = metadata.OffsetsTopic

func groupPartition(group string, partitions int) int32 {
	return metadata.GroupPartition(group, partitions)
}

// groupBook remembers the facts of groups, decoded: most do not change between two looks.
type groupBook struct {
	mu    sync.Mutex
	facts map[string]knownFacts
}

type knownFacts struct {
	offset int64 // metadata offset of the newest
	facts  consumergroup.Facts
}

// of returns the facts of all groups of an image. What cannot be read is left out.
func (b *groupBook) of(im *metadata.Image) map[string]consumergroup.Facts {
	b.mu.Lock()
	defer b.mu.Unlock()
	facts, known := map[string]consumergroup.Facts{}, map[string]knownFacts{}
	for _, id := range im.GroupIDs() {
		kept, _ := im.Group(id)
		k, ok := b.facts[id]
		if !ok || k.offset != kept.Offset {
			f, err := consumergroup.FactsOf(kept)
			if err != nil || f == nil {
				continue
			}
			k = knownFacts{kept.Offset, f}
		}
		facts[id], known[id] = k.facts, k
	}
	b.facts = known
	return facts
}

// committedOffsets is what running brokers know of commits.
func (c *Cluster) committedOffsets() map[int32][]groups.OffsetsStatus {
	all := map[int32][]groups.OffsetsStatus{}
	for _, b := range c.brokers {
		if run, ok := b.running(); ok {
			all[b.id] = run.CommittedOffsets()
		}
	}
	return all
}

// lookAtGroups puts the groups into s: those that exist by their facts, and those that have
// committed offsets and nothing else. Of a partition of __consumer_offsets only its leader
// is believed, in its own epoch: a broker that was replaced may not have heard of it.
func (c *Cluster) lookAtGroups(s *Snapshot, im *metadata.Image, committed map[int32][]groups.OffsetsStatus) {
	facts := c.groups.of(im)
	if len(facts) == 0 && len(committed) == 0 {
		return
	}
	topic := im.TopicByName(offsetsTopic)
	if topic == nil {
		return
	}
	offsets := map[string]groups.CommittedOffsets{}
	s.served = make([]bool, len(topic.Partitions))
	for id, partitions := range committed {
		for _, p := range partitions {
			if int(p.Partition) >= len(topic.Partitions) {
				continue
			}
			if now := topic.Partitions[p.Partition]; now.Leader == id && now.LeaderEpoch == p.LeaderEpoch {
				s.served[p.Partition] = true
				maps.Copy(offsets, p.Groups)
			}
		}
	}
	ids := slices.Collect(maps.Keys(facts))
	for id, o := range offsets {
		if facts[id] == nil && len(o.Offsets) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		g := groupState(id, facts[id])
		at := groupPartition(id, len(topic.Partitions))
		if g.Broker = topic.Partitions[at].Leader; s.served[at] {
			g.take(offsets[id])
		}
		s.Groups = append(s.Groups, g)
	}
}

func groupState(id string, f consumergroup.Facts) GroupState {
	g := GroupState{ID: id, Kind: consumergroup.Classic.String(), State: consumergroup.Empty.String(), Broker: metadata.NoLeader}
	if f == nil {
		return g
	}
	g.Kind, g.State, g.ProtocolType = f.Kind().String(), f.StateName(), f.Type()
	if classic, ok := f.(*consumergroup.ClassicFacts); ok {
		g.Generation, g.Protocol, g.Leader = classic.Generation, classic.Protocol, classic.Leader
		for _, m := range classic.Members {
			g.Members = append(g.Members, groupMember(classic, m))
		}
	}
	return g
}

func groupMember(f *consumergroup.ClassicFacts, m consumergroup.Member) GroupMember {
	member := GroupMember{ID: m.ID, Instance: m.Instance, ClientID: m.ClientID, Host: m.ClientHost, Owns: map[string][]int32{}}
	if topics, ok := f.Subscription(m); ok {
		member.Subscribed = append([]string{}, topics...)
		slices.Sort(member.Subscribed)
	}
	owned, _ := f.Owned(m)
	for _, t := range owned {
		member.Owns[t.Topic] = append(member.Owns[t.Topic], t.Partitions...)
		slices.Sort(member.Owns[t.Topic])
	}
	return member
}

func (g *GroupState) take(o groups.CommittedOffsets) {
	g.Offsets, g.Pending = map[TopicPartition]int64{}, o.Pending
	for p, offset := range o.Offsets {
		g.Offsets[TopicPartition{p.Topic, p.Partition}] = offset
	}
}
