package metadata

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A ConfigDef is one config of Kafka's. Values are text, as everywhere in Kafka; a
// number with a unit in its name is in that unit.
type ConfigDef struct {
	Name         string
	Type         ConfigType
	Scope        ConfigScope
	Default      string // ours
	KafkaDefault string // Kafka's, where the clock of a real cluster asks for another one
	Dynamic      bool   // can change at run time
	Accepts      string // what values it takes, for people
	Doc          string

	broker    string // of a topic config: the broker config that holds its default
	timing    bool   // a timeout of the protocol between nodes: Scaled stretches it
	setTopic  func(*TopicConfig, string) bool
	setBroker func(*BrokerConfig, string) bool
}

const (
	maxInt   = math.MaxInt32
	maxLong  = math.MaxInt64
	forever  = "9223372036854775807"
	oneDay   = "86400000"
	oneWeek  = "604800000"
	noLimit  = "-1"
	mebibyte = 1 << 20
)

// configDefs is the one table of every config. Nothing else names, parses or
// checks one; a config that is not here is ErrInvalidConfig, also if Kafka has it: to accept
// a config and do nothing would be a lie.
var configDefs = slices.Concat(
	topicConfig("cleanup.policy", "log.cleanup.policy", cleanupPolicies, "delete",
		func(c *TopicConfig) *CleanupPolicy { return &c.CleanupPolicy },
		"What happens to old records: delete drops segments as retention asks, compact keeps the last record of each key, and both do both."),
	topicConfig("compression.type", "compression.type",
		oneOf("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"), "producer",
		func(c *TopicConfig) *string { return &c.CompressionType },
		"How batches are compressed in the log: as the producer did it, or anew by the leader."),
	topicConfig("delete.retention.ms", "log.cleaner.delete.retention.ms", millis(LongConfig, 0), oneDay,
		func(c *TopicConfig) *time.Duration { return &c.DeleteRetention },
		"How long compaction keeps a tombstone once no older value is left."),
	topicConfig("flush.messages", "log.flush.interval.messages", whole[int64](LongConfig, 1, maxLong), forever,
		func(c *TopicConfig) *int64 { return &c.FlushMessages },
		"Sync to disk after so many records; 1 syncs before every ack."),
	topicConfig("flush.ms", "log.flush.interval.ms", millis(LongConfig, 0), forever,
		func(c *TopicConfig) *time.Duration { return &c.FlushInterval },
		"Sync a record to disk after so long."),
	topicConfig("index.interval.bytes", "log.index.interval.bytes", whole[int](IntConfig, 0, maxInt), "4096",
		func(c *TopicConfig) *int { return &c.IndexIntervalBytes },
		"Distance between two entries of the offset index."),
	topicConfig("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", millis(LongConfig, 1), forever,
		func(c *TopicConfig) *time.Duration { return &c.MaxCompactionLag },
		"Age of the first record of a segment at which a log is compacted though little of it is dirty; its active segment is rolled as early."),
	topicConfig("max.message.bytes", "message.max.bytes", whole[int](IntConfig, 0, maxInt), "1048588",
		func(c *TopicConfig) *int { return &c.MaxMessageBytes },
		"The largest batch, as compressed by the producer."),
	topicConfig("message.timestamp.type", "log.message.timestamp.type", timestampTypes, "CreateTime",
		func(c *TopicConfig) *bool { return &c.LogAppendTime },
		"Whose clock stamps records: the producer's, or the leader's at the append."),
	topicConfig("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms", millis(LongConfig, 0), forever,
		func(c *TopicConfig) *time.Duration { return &c.TimestampBeforeMax },
		"How far a producer's timestamp may lie in the past."),
	topicConfig("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", millis(LongConfig, 0), "3600000",
		func(c *TopicConfig) *time.Duration { return &c.TimestampAfterMax },
		"How far a producer's timestamp may lie in the future."),
	topicConfig("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", ratio(0, 1), "0.5",
		func(c *TopicConfig) *float64 { return &c.MinCleanableDirtyRatio },
		"Share of the log that must be dirty before it is compacted."),
	topicConfig("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", millis(LongConfig, 0), "0",
		func(c *TopicConfig) *time.Duration { return &c.MinCompactionLag },
		"How long a record stays uncompacted at least: so old the newest one of its segment must be."),
	topicConfig("min.insync.replicas", "min.insync.replicas", whole[int](IntConfig, 1, maxInt), "1",
		func(c *TopicConfig) *int { return &c.MinInsyncReplicas },
		"Replicas that must be in sync for acks=all and for anything to be committed; never more than there are replicas."),
	topicConfig("retention.bytes", "log.retention.bytes", whole[int64](LongConfig, -1, maxLong), noLimit,
		func(c *TopicConfig) *int64 { return &c.RetentionBytes },
		"Size of a partition's log above which old segments go; -1 is no limit."),
	topicConfig("retention.ms", "log.retention.ms", millis(LongConfig, -1), oneWeek,
		func(c *TopicConfig) *time.Duration { return &c.Retention },
		"Age above which segments go; -1 is no limit."),
	topicConfig("segment.bytes", "log.segment.bytes", whole[int](IntConfig, 14, maxInt), "1073741824",
		func(c *TopicConfig) *int { return &c.SegmentBytes },
		"Size of a segment file. Kafka asks for 1 MiB at least; small ones are for watching a log roll."),
	topicConfig("segment.index.bytes", "log.index.size.max.bytes", whole[int](IntConfig, 8, maxInt), "10485760",
		func(c *TopicConfig) *int { return &c.SegmentIndexBytes },
		"Size of a segment's offset index; a full index rolls the segment."),
	topicConfig("segment.ms", "log.roll.ms", millis(LongConfig, 1), oneWeek,
		func(c *TopicConfig) *time.Duration { return &c.SegmentTime },
		"Age at which a segment is rolled though it is not full."),
	topicConfig("unclean.leader.election.enable", "unclean.leader.election.enable", booleans, "false",
		func(c *TopicConfig) *bool { return &c.UncleanLeaderElection },
		"Elect any live replica when no eligible one is left: available, and acknowledged records may be lost."),

	brokerConfig("auto.create.topics.enable", booleans, "true",
		func(c *BrokerConfig) *bool { return &c.AutoCreateTopics },
		"Asking for the metadata of an unknown topic creates it."),
	brokerConfig("default.replication.factor", whole[int](IntConfig, 1, math.MaxInt16), "1",
		func(c *BrokerConfig) *int { return &c.DefaultReplicationFactor },
		"Replicas of a topic that does not say how many."),
	brokerConfig("num.partitions", whole[int](IntConfig, 1, maxInt), "1",
		func(c *BrokerConfig) *int { return &c.NumPartitions },
		"Partitions of a topic that does not say how many."),
	brokerTiming("broker.session.timeout.ms", millis(IntConfig, 1), "1000", "9000",
		func(c *BrokerConfig) *time.Duration { return &c.SessionTimeout },
		"Silence after which a broker is fenced."),
	brokerTiming("broker.heartbeat.interval.ms", millis(IntConfig, 1), "200", "2000",
		func(c *BrokerConfig) *time.Duration { return &c.HeartbeatInterval },
		"How often a broker says that it lives."),
	brokerTiming("replica.lag.time.max.ms", millis(LongConfig, 1), "2000", "30000",
		func(c *BrokerConfig) *time.Duration { return &c.ReplicaLagTimeMax },
		"How long a follower may be behind before it leaves the ISR."),
	brokerTiming("replica.fetch.wait.max.ms", millis(IntConfig, 1), "500", "500",
		func(c *BrokerConfig) *time.Duration { return &c.ReplicaFetchWaitMax },
		"How long a leader may hold a follower's fetch when there is nothing new."),
	brokerConfig("replica.fetch.max.bytes", whole[int](IntConfig, 0, maxInt), "1048576",
		func(c *BrokerConfig) *int { return &c.ReplicaFetchMaxBytes },
		"Bytes that a follower asks for, per partition."),
	brokerConfig("auto.leader.rebalance.enable", booleans, "true",
		func(c *BrokerConfig) *bool { return &c.AutoLeaderRebalance },
		"Give leadership back to the preferred replicas from time to time."),
	brokerConfig("leader.imbalance.check.interval.seconds", span(LongConfig, time.Second, 1), "300",
		func(c *BrokerConfig) *time.Duration { return &c.LeaderImbalanceCheck },
		"How often that is looked at."),
	brokerConfig("leader.imbalance.per.broker.percentage", whole[int](IntConfig, 0, 100), "10",
		func(c *BrokerConfig) *int { return &c.LeaderImbalancePercent },
		"Share of a broker's preferred partitions led elsewhere that is tolerated."),
	brokerConfig("socket.request.max.bytes", whole[int](IntConfig, 1, maxInt), "104857600",
		func(c *BrokerConfig) *int { return &c.SocketRequestMaxBytes },
		"The largest request; a larger one closes the connection."),
	brokerConfig("log.retention.check.interval.ms", millis(LongConfig, 1), "300000",
		func(c *BrokerConfig) *time.Duration { return &c.RetentionCheck },
		"How often logs are looked at for segments that are too old, or too many."),
	brokerConfig("log.cleaner.backoff.ms", millis(LongConfig, 1), "15000",
		func(c *BrokerConfig) *time.Duration { return &c.CleanerBackoff },
		"How often logs are looked at for one to compact, when there was none."),
	brokerConfig("log.cleaner.dedupe.buffer.size", whole[int64](LongConfig, 1, maxLong), "134217728",
		func(c *BrokerConfig) *int64 { return &c.CleanerDedupeBuffer },
		"Bytes that may be used to remember the keys of a log, 24 for each; taken when needed. A log with more keys takes several turns."),
	brokerConfig("producer.id.expiration.ms", millis(IntConfig, 1), oneDay,
		func(c *BrokerConfig) *time.Duration { return &c.ProducerIDExpiration },
		"How long an idle producer's sequence numbers are remembered."),
	brokerTiming("group.initial.rebalance.delay.ms", millis(IntConfig, 0), "0", "3000",
		func(c *BrokerConfig) *time.Duration { return &c.GroupInitialDelay },
		"How long the first join of a group waits for others."),
	brokerConfig("group.min.session.timeout.ms", millis(IntConfig, 1), "6000",
		func(c *BrokerConfig) *time.Duration { return &c.GroupMinSessionTimeout },
		"The shortest session that a group member may ask for."),
	brokerConfig("group.max.session.timeout.ms", millis(IntConfig, 1), "1800000",
		func(c *BrokerConfig) *time.Duration { return &c.GroupMaxSessionTimeout },
		"The longest session that a group member may ask for."),
	brokerConfig("group.max.size", whole[int](IntConfig, 1, maxInt), "2147483647",
		func(c *BrokerConfig) *int { return &c.GroupMaxSize },
		"The most members of one group."),
	brokerConfig("offsets.topic.num.partitions", whole[int](IntConfig, 1, maxInt), "50",
		func(c *BrokerConfig) *int { return &c.OffsetsPartitions },
		"Partitions of __consumer_offsets, when it is made."),
	brokerConfig("offsets.topic.replication.factor", whole[int](IntConfig, 1, math.MaxInt16), "3",
		func(c *BrokerConfig) *int { return &c.OffsetsReplicationFactor },
		"Replicas of __consumer_offsets; never more than there are brokers."),
	brokerConfig("offsets.retention.minutes", span(IntConfig, time.Minute, 1), "10080",
		func(c *BrokerConfig) *time.Duration { return &c.OffsetsRetention },
		"How long a group without members keeps its committed offsets."),
	brokerConfig("offsets.retention.check.interval.ms", millis(LongConfig, 1), "600000",
		func(c *BrokerConfig) *time.Duration { return &c.OffsetsRetentionCheck },
		"How often committed offsets are looked at for their age."),
	brokerConfig("offset.metadata.max.bytes", whole[int](IntConfig, 0, maxInt), "4096",
		func(c *BrokerConfig) *int { return &c.OffsetMetadataMaxBytes },
		"The longest note that goes with a committed offset."),
)

// topicConfig makes a topic's config together with the broker's, which gives the
// default for topics that do not set it.
func topicConfig[T any](name, broker string, k kind[T], def string, field func(*TopicConfig) *T, doc string) []ConfigDef {
	d := ConfigDef{
		Name: name, Type: k.typ, Scope: TopicScope, Default: def, KafkaDefault: def, Dynamic: true, Accepts: k.accepts, Doc: doc,
		broker:   broker,
		setTopic: func(c *TopicConfig, value string) bool { return k.into(field(c), value) },
	}
	return append(brokerConfig(broker, k, def, func(c *BrokerConfig) *T { return field(&c.TopicDefaults) },
		fmt.Sprintf("The default of %s. %s", name, doc)), d)
}

func brokerConfig[T any](name string, k kind[T], def string, field func(*BrokerConfig) *T, doc string) []ConfigDef {
	return []ConfigDef{{
		Name: name, Type: k.typ, Scope: BrokerScope, Default: def, KafkaDefault: def, Accepts: k.accepts, Doc: doc,
		setBroker: func(c *BrokerConfig, value string) bool { return k.into(field(c), value) },
	}}
}

// brokerTiming is a brokerConfig whose default suits nodes of one process.
func brokerTiming[T any](name string, k kind[T], def, kafka string, field func(*BrokerConfig) *T, doc string) []ConfigDef {
	defs := brokerConfig(name, k, def, field, doc)
	defs[0].KafkaDefault, defs[0].timing = kafka, true
	return defs
}
