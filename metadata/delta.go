package metadata

import "maps"

// A Delta is one change of the Image. The coordinator numbers the deltas of a
// command with the command's metadata offset; brokers apply them in that order.
type Delta interface{ apply(*Image) }

// BrokerRegistered replaces what is known of a broker: its registration, its
// fencing and its shutting down alike.
type BrokerRegistered struct{ Broker Broker }

// TopicCreated adds a topic with its partitions.
type TopicCreated struct{ Topic Topic }

// TopicDeleted removes a topic; its id never comes back.
type TopicDeleted struct{ ID UUID }

// TopicConfigured replaces what is set on a topic.
type TopicConfigured struct {
	ID      UUID
	Configs map[string]string
}

// PartitionChanged replaces the state of a partition. Its partition epoch is
// higher than the one before.
type PartitionChanged struct {
	TopicPartition
	State Partition
}

// ProducerIDsAllocated says that ids below Next have been given out.
type ProducerIDsAllocated struct{ Next int64 }

// Apply returns the image that follows im when deltas, numbered offset, are
// applied. im stays as it is; what did not change is shared. A delta that speaks
// of a topic that im does not know is ignored: it was deleted.
func (im *Image) Apply(offset int64, deltas []Delta) *Image {
	next := *im
	next.offset = offset
	// Top-level maps are copied when a delta touches them; topics when they change.
	var brokers, topics bool
	owned := map[UUID]bool{}
	for _, d := range deltas {
		switch d := d.(type) {
		case BrokerRegistered:
			if !brokers {
				next.brokers, brokers = cloneMap(next.brokers), true
			}
		case ProducerIDsAllocated:
		default:
			if !topics {
				next.topics, next.names, topics = cloneMap(next.topics), cloneMap(next.names), true
			}
			if p, ok := d.(PartitionChanged); ok && !owned[p.Topic] {
				owned[p.Topic] = true
				if t := next.topics[p.Topic]; t != nil {
					c := *t
					c.Partitions = append([]Partition(nil), t.Partitions...)
					next.topics[p.Topic] = &c
				}
			}
		}
		d.apply(&next)
	}
	return &next
}

func (d BrokerRegistered) apply(im *Image) { im.brokers[d.Broker.ID] = d.Broker }

func (d TopicCreated) apply(im *Image) {
	t := d.Topic
	// A later delta of the same batch may write into Partitions in place.
	t.Partitions = append([]Partition(nil), t.Partitions...)
	im.topics[t.ID] = &t
	im.names[t.Name] = t.ID
}

func (d TopicDeleted) apply(im *Image) {
	if t := im.topics[d.ID]; t != nil {
		delete(im.topics, d.ID)
		if im.names[t.Name] == d.ID {
			delete(im.names, t.Name)
		}
	}
}

func (d TopicConfigured) apply(im *Image) {
	if t := im.topics[d.ID]; t != nil {
		c := *t
		c.Configs = maps.Clone(d.Configs)
		im.topics[d.ID] = &c
	}
}

func (d PartitionChanged) apply(im *Image) {
	if t := im.topics[d.Topic]; t != nil && int(d.Partition) < len(t.Partitions) {
		t.Partitions[d.Partition] = d.State
	}
}

func (d ProducerIDsAllocated) apply(im *Image) { im.nextProducerID = d.Next }

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m)+1)
	maps.Copy(c, m)
	return c
}
