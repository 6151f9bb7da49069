package metadata

import "maps"

// A Delta is one change of the Image. The coordinator numbers the deltas of a
// command with the command's metadata offset; brokers apply them in that order.
type Delta interface {
	apply(*edit)
	encode(*Encoder)
}

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
	e := edit{Image: &next}
	for _, d := range deltas {
		d.apply(&e)
	}
	return &next
}

// edit is an image that is being made out of another one: what it is about to
// write into, it copies first, once.
type edit struct {
	*Image
	ownBrokers, ownTopics, ownNames bool
	own                             map[UUID]bool // topics whose struct and partitions are ours
	ownGroups                       [groupShards]bool
}

func (e *edit) writableBrokers() map[int32]Broker {
	if !e.ownBrokers {
		e.brokers, e.ownBrokers = cloneMap(e.brokers), true
	}
	return e.brokers
}

func (e *edit) writableTopics() map[UUID]*Topic {
	if !e.ownTopics {
		e.topics, e.ownTopics = cloneMap(e.topics), true
		e.own = map[UUID]bool{}
	}
	return e.topics
}

func (e *edit) writableNames() map[string]UUID {
	if !e.ownNames {
		e.names, e.ownNames = cloneMap(e.names), true
	}
	return e.names
}

// writableTopic returns the topic to write into, or nil if there is none.
func (e *edit) writableTopic(id UUID) *Topic {
	t := e.topics[id]
	if t == nil || e.ownTopics && e.own[id] {
		return t
	}
	topics := e.writableTopics()
	c := *t
	c.Partitions = append([]Partition(nil), t.Partitions...)
	topics[id], e.own[id] = &c, true
	return &c
}

func (d BrokerRegistered) apply(e *edit) { e.writableBrokers()[d.Broker.ID] = d.Broker }

func (d TopicCreated) apply(e *edit) {
	TopicDeleted{ID: d.Topic.ID}.apply(e) // an id names one topic, whatever we are told
	if old, ok := e.names[d.Topic.Name]; ok {
		TopicDeleted{ID: old}.apply(e)
	}
	t := d.Topic
	t.Partitions = append([]Partition(nil), t.Partitions...)
	e.writableTopics()[t.ID] = &t
	e.own[t.ID] = true
	e.writableNames()[t.Name] = t.ID
}

func (d TopicDeleted) apply(e *edit) {
	if t := e.topics[d.ID]; t != nil {
		delete(e.writableTopics(), d.ID)
		delete(e.writableNames(), t.Name)
	}
}

func (d TopicConfigured) apply(e *edit) {
	if t := e.writableTopic(d.ID); t != nil {
		t.Configs = maps.Clone(d.Configs)
	}
}

func (d PartitionChanged) apply(e *edit) {
	t := e.topics[d.Topic]
	if t == nil || d.Partition < 0 || int(d.Partition) >= len(t.Partitions) {
		return
	}
	e.writableTopic(d.Topic).Partitions[d.Partition] = d.State
}

func (d ProducerIDsAllocated) apply(e *edit) { e.nextProducerID = d.Next }

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m)+1)
	maps.Copy(c, m)
	return c
}
