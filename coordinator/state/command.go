package state

import "github.com/brokersim/brokersim/metadata"

// A Command is one entry of the Raft log: what somebody asks of the cluster's
// state. It carries everything that its effect depends on beside the state
// itself, also the random seed, and names the epochs that it presumes.
type Command interface {
	apply(*work)
	encode(*metadata.Encoder)
}

// RegisterBroker announces a broker's process. The metadata offset of the command
// becomes its broker epoch. Only ID, Incarnation, Rack and Endpoints of Broker
// are read. PreviousEpoch is -1 unless the process can prove that its disk holds
// all that it ever told anyone since that epoch (KIP-966).
type RegisterBroker struct {
	Broker        metadata.Broker
	PreviousEpoch int64
}

// FenceBroker ends a broker's session. Nothing happens if Epoch is not its current one.
type FenceBroker struct {
	ID     int32
	Epoch  int64
	Reason string // for people, "its process is gone"
}

// UnfenceBroker says that a broker has caught up with the metadata log.
type UnfenceBroker struct {
	ID    int32
	Epoch int64
}

// BeginShutdown puts a broker into controlled shutdown (KIP-841).
type BeginShutdown struct {
	ID    int32
	Epoch int64
}

// CreateTopics makes topics, each by itself: one may fail, others not.
type CreateTopics struct {
	Topics       []NewTopic
	Seed         uint64 // of the placement
	ValidateOnly bool   // answer as if, change nothing
}

// A NewTopic is one topic to make. With an Assignment, Partitions and
// ReplicationFactor are -1; without, -1 asks for the cluster's default.
type NewTopic struct {
	Name              string
	ID                metadata.UUID // drawn by whoever proposes the command
	Partitions        int32
	ReplicationFactor int16
	Assignment        [][]int32 // replicas by partition; nil: placed by the seed
	Configs           map[string]string
}

// DeleteTopics removes topics by id or, where the id is zero, by name.
type DeleteTopics struct{ Topics []TopicRef }

// A TopicRef names a topic by ID if that is set, else by Name.
type TopicRef struct {
	ID   metadata.UUID
	Name string
}

// AlterPartitions is what a leader asks for its partitions (KIP-497).
type AlterPartitions struct {
	Broker      int32
	BrokerEpoch int64
	Changes     []PartitionChange
}

// A PartitionChange proposes a new ISR on top of one partition epoch.
type PartitionChange struct {
	metadata.TopicPartition
	LeaderEpoch    int32
	PartitionEpoch int32
	ISR            []ISRMember
	// Recovered is false only while the leader has not yet recovered from an unclean
	// election; until then it may have no company in the ISR.
	Recovered bool
}

// An ISRMember is a broker under the epoch that the leader knows it by, -1 if
// the leader does not (KIP-903).
type ISRMember struct {
	Broker int32
	Epoch  int64
}

// ElectLeaders asks for elections, preferred ones or, with Unclean, of any live replica where
// nobody else is left. Nil Partitions means all.
type ElectLeaders struct {
	Unclean    bool
	Partitions []metadata.TopicPartition
}

// AllocateProducerIDs takes a block of Count ids for a broker.
type AllocateProducerIDs struct {
	Broker      int32
	BrokerEpoch int64
	Count       int32
}

// ProducerIDBlock is how many producer ids a broker takes at a time (KIP-730).
const ProducerIDBlock = 1000
