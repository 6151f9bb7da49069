package consumergroup

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What members of type "consumer" tell each other is opaque to the protocol, but not to
// who describes groups, expires offsets or checks assignments. These read it.

// Subscription returns the topics that a member of a "consumer" group subscribes to, by
// the protocol that the group has chosen. ok is false if that cannot be read.
func (f *ClassicFacts) Subscription(m Member) (topics []string, ok bool) {
	if f.ProtocolType != ConsumerProtocolType {
		return nil, false
	}
	i := slices.IndexFunc(m.Protocols, func(p Protocol) bool { return p.Name == f.Protocol })
	if i < 0 {
		return nil, false
	}
	var s kmsg.ConsumerMemberMetadata
	if err := s.ReadFrom([]byte(m.Protocols[i].Metadata)); err != nil {
		return nil, false
	}
	return s.Topics, true
}

// Owned returns the partitions that a member of a "consumer" group was given. ok is false if
// that cannot be read.
func (f *ClassicFacts) Owned(m Member) (partitions []TopicPartitions, ok bool) {
	if f.ProtocolType != ConsumerProtocolType {
		return nil, false
	}
	if m.Assignment == "" {
		return nil, true
	}
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom([]byte(m.Assignment)); err != nil {
		return nil, false
	}
	for _, t := range a.Topics {
		partitions = append(partitions, TopicPartitions{Topic: t.Topic, Partitions: t.Partitions})
	}
	return partitions, true
}

// Subscribes reports whether some member of the group subscribes to a topic. known is
// false if that cannot be told: of a group that is not of consumers, or is
// between two generations.
func Subscribes(f Facts, topic string) (subscribes, known bool) {
	c, ok := f.(*ClassicFacts)
	if !ok || len(c.Members) == 0 {
		return false, ok
	}
	for _, m := range c.Members {
		topics, ok := c.Subscription(m)
		if !ok {
			return false, false
		}
		subscribes = subscribes || slices.Contains(topics, topic)
	}
	return subscribes, true
}
