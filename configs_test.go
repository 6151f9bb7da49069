package brokersim_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/metadata"
)

// An effect is what a config changes about a cluster, as somebody outside of it
// sees it.
type effect struct {
	config, value string

	// look works with a cluster that has the topic orders with one partition, and
	// returns what a cluster without the config shows otherwise.
	look          func(t *testing.T, c *brokertest.C) any
	without, with any

	brokers int      // 1 if not set
	rf      int      // of orders, 1 if not set
	beside  []string // other configs of orders, the same in every cluster
}

// effects is every config that is accepted. Those of topics are looked at twice:
// set on the topic, and as the broker's default for it.
var effects = slices.Concat(effectsOnAppends, effectsOnFiles, effectsOnCompaction, effectsOnReplicas, effectsOnBrokers, effectsOnGroups)

func TestEveryConfigHasItsEffect(t *testing.T) {
	for _, e := range effects {
		t.Run(e.config, func(t *testing.T) {
			for where, p := range e.places(t) {
				t.Run(where, func(t *testing.T) { e.check(t, p) })
			}
		})
	}
}

// Zero is a value and not the absence of one.
func TestZeroHasItsEffect(t *testing.T) {
	for config, want := range map[string]any{
		"flush.ms":                               "kept",
		"index.interval.bytes":                   9,
		"message.timestamp.after.max.ms":         [2]string{"INVALID_TIMESTAMP", "INVALID_TIMESTAMP"},
		"message.timestamp.before.max.ms":        [2]string{"INVALID_TIMESTAMP", "INVALID_TIMESTAMP"},
		"max.message.bytes":                      [2]string{"MESSAGE_TOO_LARGE", "MESSAGE_TOO_LARGE"},
		"replica.fetch.max.bytes":                "one batch a fetch",
		"leader.imbalance.per.broker.percentage": preferred,
	} {
		t.Run(config, func(t *testing.T) {
			e := effects[slices.IndexFunc(effects, func(e effect) bool { return e.config == config })]
			p := place{topic: []string{config + "=0"}, want: want}
			if _, ok := brokerDefaults(t)[config]; !ok {
				p.topic, p.broker = nil, p.topic
			}
			e.check(t, p)
		})
	}
}

// check looks at a cluster of its own, in virtual time.
func (e effect) check(t *testing.T, p place) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Brokers(max(1, e.brokers)), brokersim.Coordinators(1),
			brokersim.BrokerConfig(p.broker...), brokersim.Topic("orders", 1, max(1, e.rf), append(p.topic, e.beside...)...))
		require.Equal(t, p.want, e.look(t, c))
	})
}

// A place is somewhere that a config can be set, and what is seen of it there.
type place struct {
	topic, broker []string
	want          any
}

func (e effect) places(t *testing.T) map[string]place {
	set := []string{e.config + "=" + e.value}
	places := map[string]place{"nowhere": {want: e.without}}
	if name, ok := brokerDefaults(t)[e.config]; ok {
		places["on the topic"] = place{topic: set, want: e.with}
		places["by "+name] = place{broker: []string{name + "=" + e.value}, want: e.with}
	} else {
		places["on the broker"] = place{broker: set, want: e.with}
	}
	return places
}

// brokerDefaults names, for each config of a topic, the broker's config that
// gives it its default.
func brokerDefaults(t *testing.T) map[string]string {
	c, err := metadata.NewBrokerConfig(nil)
	require.NoError(t, err)
	names := map[string]string{}
	for _, e := range c.DescribeTopic(nil) {
		names[e.Name] = e.Synonyms[0].Name
	}
	return names
}

// To accept a config that does nothing would be a lie, so one without a row above
// may not be accepted.
func TestNoConfigWithoutAnEffect(t *testing.T) {
	var accepted, seen []string
	for _, d := range metadata.ConfigDefs() {
		accepted = append(accepted, d.Name)
	}
	defaults := brokerDefaults(t)
	for _, e := range effects {
		seen = append(seen, e.config)
		if name, ok := defaults[e.config]; ok {
			seen = append(seen, name)
		}
		require.NotNil(t, e.look, e.config)
	}
	require.ElementsMatch(t, accepted, seen)
}

// What is shown is what is accepted, and the other way round.
func TestDescribedConfigsAreTheAcceptedOnes(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Brokers(1), brokersim.Coordinators(1), brokersim.Topic("orders", 1, 1))
		admin := kadm.NewClient(client(t, c))
		names := func(described kadm.ResourceConfigs, err error) (names []string) {
			require.NoError(t, err)
			require.Len(t, described, 1)
			require.NoError(t, described[0].Err)
			for _, config := range described[0].Configs {
				names = append(names, config.Key)
			}
			return names
		}
		var topic, broker []string
		for _, d := range metadata.ConfigDefs() {
			if d.Scope == metadata.TopicScope {
				topic = append(topic, d.Name)
			} else {
				broker = append(broker, d.Name)
			}
		}
		require.ElementsMatch(t, topic, names(admin.DescribeTopicConfigs(t.Context(), "orders")))
		require.ElementsMatch(t, broker, names(admin.DescribeBrokerConfigs(t.Context(), 1)))
	})
}

// A config of Kafka's that does nothing here is refused by name.
func TestConfigsThatAreNotInEffectAreRefused(t *testing.T) {
	_, err := brokersim.New(t.Context(), brokersim.BrokerConfig("log.retention.hours=1"))
	require.ErrorIs(t, err, metadata.ErrInvalidConfig)
	require.ErrorContains(t, err, `"log.retention.hours" is not known`)
}
