package metadata

import "time"

// A ConfigType is the kind of value that a config takes, with Kafka's number.
type ConfigType int8

// The kinds of configs that there are here.
const (
	BoolConfig   ConfigType = 1
	StringConfig ConfigType = 2
	IntConfig    ConfigType = 3
	LongConfig   ConfigType = 5
	DoubleConfig ConfigType = 6
	ListConfig   ConfigType = 7
)

// A ConfigScope says what a config belongs to.
type ConfigScope int8

// The scopes, with the numbers that Kafka gives to the resources in DescribeConfigs.
const (
	TopicScope  ConfigScope = 2
	BrokerScope ConfigScope = 4
)

// A ConfigSource says where a config's value comes from, with Kafka's number.
type ConfigSource int8

// The sources that there are here, strongest first.
const (
	TopicSource   ConfigSource = 1 // set on the topic
	BrokerSource  ConfigSource = 4 // set when the broker was started
	DefaultSource ConfigSource = 5 // nobody set it
)

// A CleanupPolicy is the value of cleanup.policy: "delete", "compact" or "compact,delete".
type CleanupPolicy string

// TopicConfig is every config of a topic, resolved and typed. A negative
// retention means without limit.
type TopicConfig struct {
	CleanupPolicy          CleanupPolicy
	CompressionType        string        // "producer": batches stay as they were sent
	DeleteRetention        time.Duration // how long a compacted topic keeps tombstones
	FlushMessages          int64         // fsync after so many records
	FlushInterval          time.Duration // fsync a record after so long
	IndexIntervalBytes     int
	MaxCompactionLag       time.Duration
	MaxMessageBytes        int
	LogAppendTime          bool          // message.timestamp.type=LogAppendTime
	TimestampBeforeMax     time.Duration // how old a record's timestamp may be
	TimestampAfterMax      time.Duration // how far ahead it may be
	MinCleanableDirtyRatio float64
	MinCompactionLag       time.Duration
	MinInsyncReplicas      int
	RetentionBytes         int64
	Retention              time.Duration
	SegmentBytes           int
	SegmentIndexBytes      int
	SegmentTime            time.Duration
	UncleanLeaderElection  bool
}

// BrokerConfig is every config of a broker, resolved and typed. Treat it as
// immutable: it is shared by everything that a cluster runs.
type BrokerConfig struct {
	TopicDefaults TopicConfig // what holds for a topic that does not say otherwise

	AutoCreateTopics         bool
	DefaultReplicationFactor int
	NumPartitions            int

	SessionTimeout    time.Duration // silence after which a broker is fenced
	HeartbeatInterval time.Duration

	ReplicaLagTimeMax    time.Duration // how long a follower may lag before it leaves the ISR
	ReplicaFetchWaitMax  time.Duration
	ReplicaFetchMaxBytes int // per partition

	AutoLeaderRebalance      bool
	LeaderImbalanceCheck     time.Duration
	LeaderImbalancePercent   int // per broker
	SocketRequestMaxBytes    int
	RetentionCheck           time.Duration
	CleanerBackoff           time.Duration
	CleanerDedupeBuffer      int64 // bytes
	ProducerIDExpiration     time.Duration
	GroupInitialDelay        time.Duration
	GroupMinSessionTimeout   time.Duration
	GroupMaxSessionTimeout   time.Duration
	GroupMaxSize             int
	OffsetsPartitions        int
	OffsetsReplicationFactor int
	OffsetsRetention         time.Duration
	OffsetsRetentionCheck    time.Duration
	OffsetMetadataMaxBytes   int

	values map[string]string // every config's value as text
	given  map[string]bool   // those that were set, not defaulted
}

// A ConfigEntry is one config as DescribeConfigs shows it.
type ConfigEntry struct {
	Name, Value string
	Type        ConfigType
	Source      ConfigSource
	ReadOnly    bool // cannot change at run time
	Doc         string
	Synonyms    []ConfigSynonym // every place that gives a value, the one that holds first
}

// A ConfigSynonym is one place that gives a config a value.
type ConfigSynonym struct {
	Name, Value string
	Source      ConfigSource
}
