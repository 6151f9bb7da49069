package consumergroup

// An Assignor divides partitions among members on the coordinator. Classic groups
// have none, their leader does it; this is what the kind of group that is assigned
// on our side (KIP-848) asks for. Pure: equal input, equal output.
type Assignor interface {
	// Name is what clients call it by: "uniform", "range".
	Name() string
	// Assign returns the partitions of each member, in the order of members. Each
	// partition that some member subscribes to is given once.
	Assign(members []Subscriber, topics []Topic) [][]TopicPartitions
}

// A Subscriber is what an Assignor knows of a member.
type Subscriber struct {
	Rack   string
	Topics []string          // subscribed
	Owned  []TopicPartitions // what it has now, to move as little as can be
}

// A Topic is a subscribed topic.
type Topic struct {
	Name       string
	Partitions int32
}

// TopicPartitions are partitions of one topic.
type TopicPartitions struct {
	Topic      string
	Partitions []int32
}
