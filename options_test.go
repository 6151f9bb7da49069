package brokersim

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// Each mistake is named with its remedy, and nothing is started.
func TestWrongOptions(t *testing.T) {
	for name, c := range map[string]struct {
		opts []Option
		want string
		is   error
	}{
		"no brokers":       {opts: []Option{Brokers(0)}, want: "Brokers(0): a cluster has between 1 and 100 brokers"},
		"negative brokers": {opts: []Option{Brokers(-3)}, want: "Brokers(-3)"},
		"too many brokers": {opts: []Option{Brokers(1000)}, want: "Brokers(1000)"},
		"even quorum":      {opts: []Option{Coordinators(2)}, want: "a quorum has 1, 3 or 5 nodes"},
		"no quorum":        {opts: []Option{Coordinators(0)}, want: "Coordinators(0)"},
		"too many racks":   {opts: []Option{Brokers(1), Racks("a", "b")}, want: "2 racks for 1 brokers"},
		"no time":          {opts: []Option{Timescale(0)}, want: "Timescale(0)"},
		"no logger":        {opts: []Option{Logger(nil)}, want: "Logger(nil): leave the option out"},
		"no writer":        {opts: []Option{TraceTo(nil)}, want: "TraceTo(nil): leave the option out"},
		"no events":        {opts: []Option{EventCapacity(0)}, want: "EventCapacity(0)"},
		"ports in memory":  {opts: []Option{Ports(9092), InMemoryClients()}, want: "contradict each other"},
		"name in memory":   {opts: []Option{Advertise("localhost"), InMemoryClients()}, want: "contradict each other"},
		"negative port":    {opts: []Option{Ports(-1)}, want: "Ports(-1): the ports -1 to 1 must lie between 1 and 65535"},
		"port too high":    {opts: []Option{Ports(65534)}, want: "the ports 65534 to 65536"},
		"no address":       {opts: []Option{Listen()}, want: "name at least one address"},
		"no snapshots":     {opts: []Option{SnapshotEvery(0)}, want: "SnapshotEvery(0): a snapshot is taken after 1 entry or more"},
		"fewer snapshots":  {opts: []Option{SnapshotEvery(-5)}, want: "SnapshotEvery(-5)"},
		"timeless":         {opts: []Option{Timescale(math.NaN())}, want: "Timescale(NaN)"},
		"no IP address":    {opts: []Option{Listen("127.0.0.1", "my laptop")}, want: `Listen("my laptop"): name an IP address`},
		"port in Listen":   {opts: []Option{Listen("127.0.0.1:9092")}, want: `Listen("127.0.0.1:9092")`},
		"port in the name": {opts: []Option{Advertise("localhost:9092")}, want: `Advertise("localhost:9092"): name a host alone`},
		"topic name":       {opts: []Option{Topic("my orders", 1, 1)}, want: `Topic("my orders", 1, 1): `, is: metadata.ErrInvalidTopic},
		"no partitions":    {opts: []Option{Topic("orders", 0, 1)}, want: "between 1 and 10000 partitions", is: metadata.ErrInvalidPartitions},
		"no replicas":      {opts: []Option{Topic("orders", 1, 0)}, want: "raise Brokers or lower the factor", is: metadata.ErrInvalidReplicationFactor},
		"rf above brokers": {opts: []Option{Topic("orders", 1, 4)}, want: "4 replicas need as many brokers, and there are 3", is: metadata.ErrInvalidReplicationFactor},
		"topic twice":      {opts: []Option{Topic("orders", 1, 1), Topic("orders", 2, 1)}, want: "given twice"},
		"topic config":     {opts: []Option{Topic("orders", 1, 1, "min.insync.replica=2")}, want: "min.insync.replica", is: metadata.ErrInvalidConfig},
		"topic value":      {opts: []Option{Topic("orders", 1, 1, "min.insync.replicas=two")}, want: "two", is: metadata.ErrInvalidConfig},
		"no pair":          {opts: []Option{Topic("orders", 1, 1, "compact")}, want: `"compact" is no key=value pair`, is: metadata.ErrInvalidConfig},
		"broker config":    {opts: []Option{BrokerConfig("replica.lag.time=1")}, want: "replica.lag.time", is: metadata.ErrInvalidConfig},
		"broker value":     {opts: []Option{BrokerConfig("replica.lag.time.max.ms=soon")}, want: "soon", is: metadata.ErrInvalidConfig},
		"broker pair":      {opts: []Option{BrokerConfig("=1")}, want: "no key=value pair", is: metadata.ErrInvalidConfig},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, err := New(t.Context(), c.opts...)
			require.Nil(t, cluster)
			require.ErrorContains(t, err, "brokersim: ")
			require.ErrorContains(t, err, c.want)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
}

func TestEveryMistakeIsNamed(t *testing.T) {
	_, err := New(t.Context(), Brokers(0), Coordinators(4), Timescale(-1))
	for _, want := range []string{"Brokers(0)", "Coordinators(4)", "Timescale(-1)"} {
		require.ErrorContains(t, err, want)
	}
}

func resolved(t *testing.T, opts ...Option) *metadata.BrokerConfig {
	t.Helper()
	cfg := defaults()
	for _, o := range opts {
		o.apply(&cfg)
	}
	configs, err := cfg.resolve()
	require.NoError(t, err)
	return configs
}

func TestTimings(t *testing.T) {
	require.Equal(t, time.Second, resolved(t).SessionTimeout)
	require.Equal(t, 9*time.Second, resolved(t, KafkaTimings()).SessionTimeout)
	require.Equal(t, 30*time.Second, resolved(t, KafkaTimings()).ReplicaLagTimeMax)
	short := BrokerConfig("replica.lag.time.max.ms=500")
	require.Equal(t, 500*time.Millisecond, resolved(t, short, KafkaTimings()).ReplicaLagTimeMax, "BrokerConfig wins, in any order")
	slow := resolved(t, short, Timescale(10))
	require.Equal(t, 5*time.Second, slow.ReplicaLagTimeMax, "whatever else is set")
	require.Equal(t, 10*time.Second, slow.SessionTimeout)
	cfg := defaults()
	Timescale(10).apply(&cfg)
	require.Equal(t, 5*time.Second, cfg.raftTimeout())
}

func TestLaterBrokerConfigWins(t *testing.T) {
	require.Equal(t, 7, resolved(t, BrokerConfig("num.partitions=5", "num.partitions = 7 ")).NumPartitions)
}

func TestNilOptionIsNone(t *testing.T) {
	require.Equal(t, slog.DiscardHandler, defaults().logger.Handler())
	_, err := New(t.Context(), nil, Brokers(0))
	require.ErrorContains(t, err, "Brokers(0)")
}
