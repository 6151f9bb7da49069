package metadata

import (
	"fmt"
	"maps"
	"slices"
)

// NoLeader stands where a partition has no leader, or a last known leader is
// not recorded. Kafka writes -1 too.
const NoLeader int32 = -1

// An Endpoint is one address that a broker can be reached at.
type Endpoint struct {
	Name string // InternalListener or ClientListener
	Host string
	Port int32
}

// Names of the two listeners that every broker has.
const (
	InternalListener = "INTERNAL" // for the other nodes
	ClientListener   = "CLIENTS"  // for everybody else
)

// A Broker is what the cluster knows of one broker: its newest registration.
type Broker struct {
	ID    int32
	Epoch int64 // metadata offset of the registration; fences zombies
	// UnfencedEpoch is the newest epoch under which this broker was unfenced, -1
	// if it never was. A clean restart must present an epoch no older than it.
	UnfencedEpoch int64
	Incarnation   UUID // of the process that registered
	Rack          string
	Endpoints     []Endpoint
	Fenced        bool // heartbeats are missing or it has not caught up yet; no leader, in no ISR
	ShuttingDown  bool // in controlled shutdown; no leader, in no ISR
}

// Active reports whether the broker may lead and join an ISR.
func (b Broker) Active() bool { return !b.Fenced && !b.ShuttingDown }

// Endpoint returns the broker's address on the named listener.
func (b Broker) Endpoint(name string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Name == name {
			return e, true
		}
	}
	return Endpoint{}, false
}

// A Partition is the cluster's decision about one partition. Slices are never
// written to after the value is published.
type Partition struct {
	Replicas []int32 // assigned, in order of preference
	ISR      []int32 // in-sync replicas; empty when the last one was lost
	// ELR are the eligible leader replicas (KIP-966): not in sync any more, yet
	// known to hold everything below the high watermark.
	ELR []int32
	// LastKnownLeader led when the ISR became empty; NoLeader while there is a leader.
	LastKnownLeader int32
	Leader          int32 // NoLeader while there is none
	LeaderEpoch     int32 // number of this leadership; rises whenever the leader changes
	PartitionEpoch  int32 // version of this value; rises with every change
	Recovering      bool  // the leader was elected uncleanly and has not yet said that it recovered
}

// A Topic is a named set of partitions. ID tells a topic from a later one of the
// same name (KIP-516).
type Topic struct {
	ID         UUID
	Name       string
	Configs    map[string]string // what was set on the topic itself
	Partitions []Partition       // by partition number
}

// A TopicPartition names a partition beyond doubt.
type TopicPartition struct {
	Topic     UUID
	Partition int32
}

// Image is one immutable state of the cluster: what every node agrees on at one
// metadata offset. The coordinator decides the next one; brokers derive the same
// one from the deltas. It is safe for concurrent use, and a reader that holds
// one may keep it.
type Image struct {
	offset         int64
	clusterID      string
	brokers        map[int32]Broker
	topics         map[UUID]*Topic
	names          map[string]UUID
	nextProducerID int64
	groups         groups
}

// NewImage returns the empty state of a cluster, before its first command.
func NewImage(clusterID string) *Image {
	return &Image{clusterID: clusterID}
}

// Offset is the metadata offset of the newest change that the image contains.
func (im *Image) Offset() int64 { return im.offset }

// ClusterID is the cluster's id, 22 characters of base64 as in Kafka.
func (im *Image) ClusterID() string { return im.clusterID }

// NextProducerID is the first producer id that no broker was given yet.
func (im *Image) NextProducerID() int64 { return im.nextProducerID }

// Broker returns the newest registration of a broker.
func (im *Image) Broker(id int32) (Broker, bool) {
	b, ok := im.brokers[id]
	return b, ok
}

// Brokers returns every registered broker by id.
func (im *Image) Brokers() []Broker {
	brokers := make([]Broker, 0, len(im.brokers))
	for _, id := range slices.Sorted(maps.Keys(im.brokers)) {
		brokers = append(brokers, im.brokers[id])
	}
	return brokers
}

// TopicByName returns a topic, or nil. The topic must not be changed.
func (im *Image) TopicByName(name string) *Topic {
	id, ok := im.names[name]
	if !ok {
		return nil
	}
	return im.topics[id]
}

// TopicByID returns a topic, or nil. The topic must not be changed.
func (im *Image) TopicByID(id UUID) *Topic { return im.topics[id] }

// FindTopic returns the topic that a request names, by its id or by its name; ErrUnknownTopicID or
// ErrUnknownTopicOrPartition if there is none. The topic must not be changed.
func (im *Image) FindTopic(id UUID, name string, byID bool) (*Topic, error) {
	if byID {
		if t := im.TopicByID(id); t != nil {
			return t, nil
		}
		return nil, fmt.Errorf("%w: %s", ErrUnknownTopicID, id)
	}
	if t := im.TopicByName(name); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownTopicOrPartition, name)
}

// Topics returns every topic by name. The topics must not be changed.
func (im *Image) Topics() []*Topic {
	topics := make([]*Topic, 0, len(im.topics))
	for _, name := range slices.Sorted(maps.Keys(im.names)) {
		topics = append(topics, im.topics[im.names[name]])
	}
	return topics
}

// Partition returns the state of one partition.
func (im *Image) Partition(tp TopicPartition) (Partition, bool) {
	t := im.topics[tp.Topic]
	if t == nil || tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		return Partition{}, false
	}
	return t.Partitions[tp.Partition], true
}
