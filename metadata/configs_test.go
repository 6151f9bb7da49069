package metadata

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// otherValue is a valid value of each config that is not its default.
func otherValue(d ConfigDef) string {
	switch {
	case d.Name == "compression.type":
		return "lz4"
	case strings.HasSuffix(d.Name, "cleanup.policy"):
		return "compact, delete"
	case strings.HasSuffix(d.Name, "timestamp.type"):
		return "LogAppendTime"
	case d.Type == DoubleConfig:
		return "0.25"
	case d.Type == BoolConfig && d.Default == "true":
		return "FALSE"
	case d.Type == BoolConfig:
		return "true"
	default:
		return " 77 "
	}
}

func changedFields(a, b any) (names []string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		f := x.Type().Field(i)
		if f.IsExported() && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, f.Name)
		}
	}
	return names
}

// Every config sets one field, every field is set by one config.
func TestEveryConfigHasItsField(t *testing.T) {
	topicFields, brokerFields := map[string]string{}, map[string]string{}
	for _, d := range configDefs {
		require.NotEmpty(t, d.Doc, d.Name)
		if d.Accepts == d.Default {
			continue // has one value only
		}
		if d.Scope == TopicScope {
			changed := defaultConfig.TopicDefaults
			require.True(t, d.setTopic(&changed, otherValue(d)), d.Name)
			fields := changedFields(defaultConfig.TopicDefaults, changed)
			require.Len(t, fields, 1, d.Name)
			require.Empty(t, topicFields[fields[0]], "%s and %s set the same field", d.Name, topicFields[fields[0]])
			topicFields[fields[0]] = d.Name
			continue
		}
		c := *defaultConfig
		require.True(t, d.setBroker(&c, otherValue(d)), d.Name)
		fields := changedFields(*defaultConfig, c)
		require.Len(t, fields, 1, d.Name)
		if fields[0] == "TopicDefaults" {
			continue
		}
		require.Empty(t, brokerFields[fields[0]], "%s and %s set the same field", d.Name, brokerFields[fields[0]])
		brokerFields[fields[0]] = d.Name
	}
	require.Len(t, topicFields, reflect.TypeFor[TopicConfig]().NumField())
	exported := 0
	for i := range reflect.TypeFor[BrokerConfig]().NumField() {
		if reflect.TypeFor[BrokerConfig]().Field(i).IsExported() {
			exported++
		}
	}
	require.Len(t, brokerFields, exported-1)
}

func TestDefaultsSuitOneProcess(t *testing.T) {
	c, err := NewBrokerConfig(nil)
	require.NoError(t, err)
	require.Equal(t, time.Second, c.SessionTimeout)
	require.Equal(t, 200*time.Millisecond, c.HeartbeatInterval)
	require.Equal(t, 2*time.Second, c.ReplicaLagTimeMax)
	require.Equal(t, 500*time.Millisecond, c.ReplicaFetchWaitMax)
	require.Equal(t, 1048588, c.TopicDefaults.MaxMessageBytes)
	require.Equal(t, 100<<20, c.SocketRequestMaxBytes)
	require.Equal(t, 1, c.TopicDefaults.MinInsyncReplicas)
	require.False(t, c.TopicDefaults.UncleanLeaderElection)
	require.Equal(t, time.Duration(math.MaxInt64), c.TopicDefaults.FlushInterval)
	require.True(t, c.TopicDefaults.CleanupPolicy.Delete())
	require.False(t, c.TopicDefaults.CleanupPolicy.Compact())

	k, err := NewBrokerConfig(KafkaTimings())
	require.NoError(t, err)
	require.Equal(t, 9*time.Second, k.SessionTimeout)
	require.Equal(t, 2*time.Second, k.HeartbeatInterval)
	require.Equal(t, 30*time.Second, k.ReplicaLagTimeMax)
	require.Equal(t, 3*time.Second, k.GroupInitialDelay)
	require.Len(t, KafkaTimings(), 4)
}

func TestTopicOverBrokerOverDefault(t *testing.T) {
	c, err := NewBrokerConfig(map[string]string{"message.max.bytes": "5000", "min.insync.replicas": "2"})
	require.NoError(t, err)
	topic := c.Topic(map[string]string{"max.message.bytes": "77", "segment.bytes": "not a number", "unheard.of": "1"})
	require.Equal(t, 77, topic.MaxMessageBytes)
	require.Equal(t, 2, topic.MinInsyncReplicas)
	require.Equal(t, 1<<30, topic.SegmentBytes)
	require.Equal(t, 5000, c.Topic(nil).MaxMessageBytes)
	require.Equal(t, c.Topic(nil).Retention, topic.Retention)
}

func TestWrongConfigsAreNamed(t *testing.T) {
	for _, c := range []struct{ name, value, says string }{
		{"segment.bytes", "12kB", `invalid config: segment.bytes="12kB", accepted is a whole number of at least 14`},
		{"segment.bytes", "13", "at least 14"},
		{"segment.bytes", "2147483648", "at least 14"},
		{"flush.messages", "0", "at least 1"},
		{"min.insync.replicas", "0", "at least 1"},
		{"unclean.leader.election.enable", "maybe", "true or false"},
		{"cleanup.policy", "delete,delete", `cleanup.policy="delete,delete", accepted is delete or compact or compact,delete`},
		{"cleanup.policy", "", "accepted is delete"},
		{"cleanup.policy", "compact;delete", "accepted is delete"},
		{"compression.type", "brotli", `compression.type="brotli", accepted is producer or uncompressed or gzip or snappy or lz4 or zstd`},
		{"message.timestamp.type", "createtime", "CreateTime or LogAppendTime"},
		{"retenton.ms", "1", `"retenton.ms" is not known`},
		{"num.partitions", "1", `"num.partitions" belongs to brokers`},
	} {
		err := ValidateTopicConfigs(map[string]string{c.name: c.value})
		require.ErrorIs(t, err, ErrInvalidConfig)
		require.ErrorContains(t, err, c.says)
	}
	for _, c := range []struct{ name, value, says string }{
		{"segment.bytes", "1000", `its default for it is "log.segment.bytes"`},
		{"broker.session.timeout.ms", "1s", "at least 1"},
		{"broker.session.timeout.ms", "150", "broker.heartbeat.interval.ms=200 is too long for broker.session.timeout.ms=150"},
		{"replica.lag.time.max.ms", "400", "replica.fetch.wait.max.ms=500 is too long for replica.lag.time.max.ms=400"},
		{"log.flush.interval.messages", "", "at least 1"},
		{"zookeeper.connect", "x", "not known"},
		{"leader.imbalance.per.broker.percentage", "101", "from 0 to 100"},
	} {
		_, err := NewBrokerConfig(map[string]string{c.name: c.value})
		require.ErrorIs(t, err, ErrInvalidConfig, c.name)
		require.ErrorContains(t, err, strings.ReplaceAll(c.says, "its default for it", "a broker's default for it"))
	}
	require.NoError(t, ValidateBrokerConfig("replica.lag.time.max.ms", "400"))
	require.ErrorIs(t, ValidateBrokerConfig("replica.lag.time.max.ms", "x"), ErrInvalidConfig)
}

func TestContradictionsOfATopic(t *testing.T) {
	c := defaultConfig.TopicDefaults
	require.NoError(t, c.check())
	c.MinCompactionLag, c.MaxCompactionLag = 10, 9
	require.ErrorContains(t, c.check(), "above max.compaction.lag.ms")
}

func TestScaledStretchesEveryTimeout(t *testing.T) {
	c, err := NewBrokerConfig(map[string]string{"replica.lag.time.max.ms": "700"})
	require.NoError(t, err)
	s := c.Scaled(10)
	require.Equal(t, 7*time.Second, s.ReplicaLagTimeMax)
	require.Equal(t, 10*time.Second, s.SessionTimeout)
	require.Equal(t, 5*time.Second, s.ReplicaFetchWaitMax)
	require.Zero(t, s.GroupInitialDelay)
	require.Equal(t, 700*time.Millisecond, c.ReplicaLagTimeMax, "the original stays")
	require.Equal(t, time.Millisecond, c.Scaled(1e-9).SessionTimeout)
	require.Positive(t, c.Scaled(1e300).SessionTimeout)
	require.Equal(t, c, c.Scaled(math.NaN()))
	for _, e := range s.DescribeBroker() {
		if e.Name == "replica.lag.time.max.ms" {
			require.Equal(t, "7000", e.Value)
		}
	}
}

func TestDescribeSaysWhereAValueComesFrom(t *testing.T) {
	c, err := NewBrokerConfig(map[string]string{"message.max.bytes": "5000"})
	require.NoError(t, err)
	find := func(entries []ConfigEntry, name string) ConfigEntry {
		for _, e := range entries {
			if e.Name == name {
				return e
			}
		}
		t.Fatalf("no %s", name)
		return ConfigEntry{}
	}
	topic := c.DescribeTopic(map[string]string{"max.message.bytes": "77", "segment.bytes": "99"})
	require.Len(t, topic, 20)
	require.Equal(t, []ConfigSynonym{
		{"max.message.bytes", "77", TopicSource}, {"message.max.bytes", "5000", BrokerSource}, {"message.max.bytes", "1048588", DefaultSource},
	}, find(topic, "max.message.bytes").Synonyms)
	require.Equal(t, ConfigEntry{
		Name: "segment.bytes", Value: "99", Type: IntConfig, Source: TopicSource, Doc: find(topic, "segment.bytes").Doc,
		Synonyms: []ConfigSynonym{{"segment.bytes", "99", TopicSource}, {"log.segment.bytes", "1073741824", DefaultSource}},
	}, find(topic, "segment.bytes"))
	require.Equal(t, DefaultSource, find(topic, "flush.messages").Source)

	broker := c.DescribeBroker()
	require.Equal(t, "5000", find(broker, "message.max.bytes").Value)
	require.Equal(t, BrokerSource, find(broker, "message.max.bytes").Source)
	require.True(t, find(broker, "message.max.bytes").ReadOnly)
	require.Equal(t, DefaultSource, find(broker, "num.partitions").Source)
}

func TestTopicNames(t *testing.T) {
	for _, name := range []string{"a", "orders", "A-b_c.9", "...", strings.Repeat("x", 249), "__consumer_offsets"} {
		require.NoError(t, ValidateTopicName(name), name)
	}
	for _, name := range []string{"", ".", "..", "a b", "a/b", "å", "a\x00", strings.Repeat("x", 250), strings.Repeat("é", 200)} {
		require.ErrorIs(t, ValidateTopicName(name), ErrInvalidTopic, name)
	}
	require.Equal(t, CollisionKey("a.b_c"), CollisionKey("a_b.c"))
}

func TestEffectiveMinISR(t *testing.T) {
	require.Equal(t, 2, EffectiveMinISR(2, 3))
	require.Equal(t, 1, EffectiveMinISR(2, 1), "never more than there are replicas (KIP-966)")
	require.Equal(t, 1, EffectiveMinISR(0, 3))
}
