package state

import "github.com/brokersim/brokersim/metadata"

// A Result is what a command did: the deltas for the brokers and everything that
// the coordinator needs to answer the request and to tell what happened.
type Result struct {
	Err    error            // the command as a whole was refused; everything else is empty
	Deltas []metadata.Delta // in order; empty if nothing changed

	Brokers   []BrokerChange // registered, fenced, unfenced, shutting down
	Elections []Election     // by topic name and partition
	ISRs      []ISRChange    // by topic name and partition

	Created    []CreatedTopic    // CreateTopics: one for each topic asked for
	Deleted    []DeletedTopic    // DeleteTopics: one for each
	Partitions []PartitionResult // AlterPartitions and ElectLeaders: one for each

	BrokerEpoch     int64 // RegisterBroker: the epoch that holds
	Clean           bool  // RegisterBroker: the restart lost nothing
	FirstProducerID int64 // AllocateProducerIDs
	GroupOffset     int64 // ChangeGroup: where the group's newest fact is now
}

// A BrokerChange is one step in a broker's life.
type BrokerChange struct {
	Broker metadata.Broker // as it is now
	What   BrokerStep
	Reason string // of a fencing
}

// A BrokerStep names what happened to a broker.
type BrokerStep int8

// The steps.
const (
	Registered BrokerStep = iota
	Unfenced
	Fenced
	ShuttingDown
)

// An Election is one change of a partition's leader.
type Election struct {
	ID       metadata.TopicPartition
	Topic    string
	From, To int32 // NoLeader: none. To NoLeader: the leadership was lost
	Epoch    int32 // the leader epoch that begins
	Why      string
	Unclean  bool // may lose acknowledged records
}

// An ISRChange is one change of who is in sync or eligible.
type ISRChange struct {
	ID          metadata.TopicPartition
	Topic       string
	LeaderEpoch int32   // as it is now
	ISR         []int32 // as it is now
	Left        []int32
	Joined      []int32
	ELR         []int32 // as it is now
	ELRChanged  bool
}

// A CreatedTopic answers for one topic of CreateTopics.
type CreatedTopic struct {
	Topic metadata.Topic // only with Err nil; also for ValidateOnly
	Name  string
	Err   error
}

// A DeletedTopic answers for one topic of DeleteTopics.
type DeletedTopic struct {
	TopicRef
	Err error
}

// A PartitionResult answers for one partition.
type PartitionResult struct {
	ID    metadata.TopicPartition
	Topic string // "" if unknown
	Err   error
	State metadata.Partition // as it is after the command; zero if unknown
}
