package metadata

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ConfigDefs returns every config that is accepted: topics' first, by name.
func ConfigDefs() []ConfigDef {
	defs := slices.Clone(configDefs)
	slices.SortFunc(defs, func(a, b ConfigDef) int {
		if a.Scope != b.Scope {
			return int(a.Scope) - int(b.Scope)
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return defs
}

// configIndex finds the definition of a name in each scope.
var configIndex = func() map[ConfigScope]map[string]*ConfigDef {
	index := map[ConfigScope]map[string]*ConfigDef{TopicScope: {}, BrokerScope: {}}
	for i := range configDefs {
		index[configDefs[i].Scope][configDefs[i].Name] = &configDefs[i]
	}
	return index
}()

// ValidateTopicConfig returns ErrInvalidConfig, with what is accepted, unless
// name is a topic's config and value is one of its values.
func ValidateTopicConfig(name, value string) error {
	def := configIndex[TopicScope][name]
	if def == nil {
		if configIndex[BrokerScope][name] != nil {
			return fmt.Errorf("%w: %q belongs to brokers, not to topics", ErrInvalidConfig, name)
		}
		return fmt.Errorf("%w: %q is not known", ErrInvalidConfig, name)
	}
	var c TopicConfig
	if !def.setTopic(&c, value) {
		return def.refuse(value)
	}
	return nil
}

// ValidateTopicConfigs checks what is to be set on one topic, by itself and
// together. Of several faults it names the first by name.
func ValidateTopicConfigs(kv map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(kv)) {
		if err := ValidateTopicConfig(name, kv[name]); err != nil {
			return err
		}
	}
	return defaultConfig.Topic(kv).check()
}

// check finds settings that contradict each other.
func (c TopicConfig) check() error {
	if c.MinCompactionLag > c.MaxCompactionLag {
		return fmt.Errorf("%w: min.compaction.lag.ms (%v) is above max.compaction.lag.ms (%v)",
			ErrInvalidConfig, c.MinCompactionLag, c.MaxCompactionLag)
	}
	return nil
}

// ValidateBrokerConfig returns ErrInvalidConfig, with what is accepted, unless
// name is a broker's config and value is one of its values.
func ValidateBrokerConfig(name, value string) error {
	var c BrokerConfig
	return c.set(name, value)
}

// set parses one value into its field.
func (c *BrokerConfig) set(name, value string) error {
	def := configIndex[BrokerScope][name]
	if def == nil {
		if topic := configIndex[TopicScope][name]; topic != nil {
			return fmt.Errorf("%w: %q belongs to topics; a broker's default for it is %q", ErrInvalidConfig, name, topic.broker)
		}
		return fmt.Errorf("%w: %q is not known", ErrInvalidConfig, name)
	}
	if !def.setBroker(c, value) {
		return def.refuse(value)
	}
	return nil
}

func (d *ConfigDef) refuse(value string) error {
	return fmt.Errorf("%w: %s=%q, accepted is %s", ErrInvalidConfig, d.Name, strings.TrimSpace(value), d.Accepts)
}

// defaultConfig is what holds when nothing is set.
var defaultConfig = func() *BrokerConfig {
	c, err := NewBrokerConfig(nil)
	if err != nil {
		panic(err) // the table contradicts itself
	}
	return c
}()

// NewBrokerConfig resolves what was set, by name, over the defaults. The error is
// ErrInvalidConfig and names the config, its value and what is accepted.
func NewBrokerConfig(kv map[string]string) (*BrokerConfig, error) {
	c := &BrokerConfig{values: map[string]string{}, given: map[string]bool{}}
	for i := range configDefs {
		if def := &configDefs[i]; def.Scope == BrokerScope {
			c.values[def.Name] = def.Default
			if !def.setBroker(c, def.Default) {
				panic(def.refuse(def.Default)) // the table contradicts itself
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kv)) {
		c.values[name], c.given[name] = kv[name], true
		if err := c.set(name, kv[name]); err != nil {
			return nil, err
		}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

// check finds settings that contradict each other.
func (c *BrokerConfig) check() error {
	for _, rule := range []struct {
		ok        bool
		low, high string
	}{
		{c.HeartbeatInterval < c.SessionTimeout, "broker.heartbeat.interval.ms", "broker.session.timeout.ms"},
		// Or an idle follower would leave the ISR while the leader holds its fetch.
		{c.ReplicaFetchWaitMax <= c.ReplicaLagTimeMax, "replica.fetch.wait.max.ms", "replica.lag.time.max.ms"},
		{c.GroupMinSessionTimeout <= c.GroupMaxSessionTimeout, "group.min.session.timeout.ms", "group.max.session.timeout.ms"},
	} {
		if !rule.ok {
			return fmt.Errorf("%w: %s=%s is too long for %s=%s",
				ErrInvalidConfig, rule.low, c.values[rule.low], rule.high, c.values[rule.high])
		}
	}
	return c.TopicDefaults.check()
}

// Topic resolves a topic's configs over the broker's defaults. Overrides that are
// not valid are ignored: they are checked where they are set.
func (c *BrokerConfig) Topic(overrides map[string]string) TopicConfig {
	t := c.TopicDefaults
	for name, value := range overrides {
		if def := configIndex[TopicScope][name]; def != nil {
			def.setTopic(&t, value)
		}
	}
	return t
}

// Scaled returns the config with every timing of the protocol between nodes
// multiplied by f, whatever it was set to: at least 1 ms unless it was 0, and at
// most 24 days. f is above 0.
func (c *BrokerConfig) Scaled(f float64) *BrokerConfig {
	if !(f > 0) {
		return c // not a number either
	}
	s := *c
	s.values = maps.Clone(c.values)
	for i := range configDefs {
		def := &configDefs[i]
		ms, err := strconv.ParseFloat(strings.TrimSpace(c.values[def.Name]), 64)
		if !def.timing || err != nil || ms == 0 {
			continue
		}
		ms = min(max(1, math.Round(ms*f)), maxInt)
		s.values[def.Name] = strconv.FormatInt(int64(ms), 10)
		if value := s.values[def.Name]; !def.setBroker(&s, value) {
			panic(def.refuse(value)) // the table contradicts itself
		}
	}
	return &s
}

// KafkaTimings returns Kafka's own value for every timing that is another here.
func KafkaTimings() map[string]string {
	timings := map[string]string{}
	for i := range configDefs {
		if def := &configDefs[i]; def.Default != def.KafkaDefault {
			timings[def.Name] = def.KafkaDefault
		}
	}
	return timings
}

// EffectiveMinISR is min.insync.replicas, but never more than the replication
// factor: what acks=all, the high watermark and the ELR go by (KIP-966).
func EffectiveMinISR(minInsyncReplicas, rf int) int { return max(1, min(minInsyncReplicas, rf)) }
