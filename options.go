package brokersim

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// An Option changes how New builds a cluster. Every option has a default that works.
type Option interface{ apply(*config) }

// config is what the options say, as given; validate and resolve make sense of it.
type config struct {
	brokers, coordinators int
	topics                []topic
	kafkaTimings          bool
	given                 []string // key=value, a later one wins
	racks                 []string
	firstPort             int // 0: free ports
	hosts                 []string
	advertise             string
	inMemory              bool
	logger                *slog.Logger
	seed                  uint64
	trace                 []io.Writer
	timescale             float64
	eventCapacity         int
	snapshotEvery         int
	dataDir               *string // nil: memory
}

type topic struct {
	name           string
	partitions, rf int
	cfg            []string
}

func defaults() config {
	return config{
		brokers: 3, coordinators: 3, hosts: []string{"127.0.0.1"},
		logger: slog.New(slog.DiscardHandler), seed: 1, timescale: 1, eventCapacity: 1 << 13, snapshotEvery: 8192,
	}
}

type option func(*config)

func (o option) apply(c *config) { o(c) }

// Brokers sets how many brokers there are; 3 without it. Their ids count from 1.
func Brokers(n int) Option { return option(func(c *config) { c.brokers = n }) }

// Coordinators sets how many coordinator nodes there are: 1, 3 or 5; 3 without it.
func Coordinators(n int) Option { return option(func(c *config) { c.coordinators = n }) }

// Topic has New create a topic. Each cfg is a topic config in Kafka's words,
// as in "min.insync.replicas=2".
func Topic(name string, partitions, rf int, cfg ...string) Option {
	return option(func(c *config) { c.topics = append(c.topics, topic{name, partitions, rf, cfg}) })
}

// BrokerConfig sets broker configs in Kafka's words, as in
// "replica.lag.time.max.ms=500". A later one wins.
func BrokerConfig(kv ...string) Option {
	return option(func(c *config) { c.given = append(c.given, kv...) })
}

// Racks sets the racks of broker 1, 2, ... Brokers beyond the last have none.
func Racks(racks ...string) Option { return option(func(c *config) { c.racks = racks }) }

// KafkaTimings takes Kafka's own defaults for the timings that are shorter here
// (session 9 s, heartbeat 2 s, replica lag 30 s). What
// BrokerConfig says still wins.
func KafkaTimings() Option { return option(func(c *config) { c.kafkaTimings = true }) }

// Ports gives clients the TCP ports first, first+1, ... for broker 1, 2, ...
// Without it each broker takes a free one.
func Ports(first int) Option { return option(func(c *config) { c.firstPort = first }) }

// Listen sets the IP addresses that brokers accept clients on; 127.0.0.1 without
// it. An address of a family that this machine lacks is left out as long as
// another one works.
func Listen(hosts ...string) Option { return option(func(c *config) { c.hosts = hosts }) }

// Advertise sets the host name that brokers tell clients to use; the first
// address of Listen without it.
func Advertise(host string) Option { return option(func(c *config) { c.advertise = host }) }

// InMemoryClients opens no socket: clients must use [Cluster.Dial]. In a
// testing/synctest bubble nothing else is possible.
func InMemoryClients() Option { return option(func(c *config) { c.inMemory = true }) }

// Logger takes what the nodes have to say; without it nobody hears it.
func Logger(l *slog.Logger) Option { return option(func(c *config) { c.logger = l }) }

// Seed decides jitter, placement and ids; 1 without it.
func Seed(n uint64) Option { return option(func(c *config) { c.seed = n }) }

// TraceTo writes every event to w as one JSON object a line. w is used from one
// goroutine, until Close returns.
func TraceTo(w io.Writer) Option { return option(func(c *config) { c.trace = append(c.trace, w) }) }

// Timescale makes every timeout of the protocol f times as long, whatever else
// is set: 10 is slow motion, for teaching.
func Timescale(f float64) Option { return option(func(c *config) { c.timescale = f }) }

// EventCapacity sets how many events are remembered for readers who fall behind
// or come late; 8192 without it.
func EventCapacity(n int) Option { return option(func(c *config) { c.eventCapacity = n }) }

// SnapshotEvery sets after how many metadata entries a coordinator node takes a
// snapshot and forgets older ones; 8192 without it. Tests make it small, so that
// nodes that fall behind are fed by snapshot.
func SnapshotEvery(entries int) Option {
	return option(func(c *config) { c.snapshotEvery = entries })
}

const maxBrokers = 100

var quorumSizes = []int{1, 3, 5}

// resolve checks everything that the options say, in one place, and returns what
// the nodes are configured with. The error names every mistake, with its remedy.
func (c *config) resolve() (*metadata.BrokerConfig, error) {
	errs := slices.Concat(c.checkNodes(), c.checkListeners(), c.checkTopics())
	kv, kvErrs := c.brokerConfigs()
	errs = append(errs, kvErrs...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	resolved, err := metadata.NewBrokerConfig(kv)
	if err != nil {
		return nil, fmt.Errorf("BrokerConfig: %w", err)
	}
	return resolved.Scaled(c.timescale), nil
}

func (c *config) checkNodes() (errs []error) {
	if c.brokers < 1 || c.brokers > maxBrokers {
		errs = append(errs, fmt.Errorf("Brokers(%d): a cluster has between 1 and %d brokers", c.brokers, maxBrokers))
	}
	if !slices.Contains(quorumSizes, c.coordinators) {
		errs = append(errs, fmt.Errorf("Coordinators(%d): a quorum has 1, 3 or 5 nodes; an even number survives no more crashes than the odd one below it", c.coordinators))
	}
	if len(c.racks) > c.brokers {
		errs = append(errs, fmt.Errorf("Racks: %d racks for %d brokers; name one for each broker at most", len(c.racks), c.brokers))
	}
	if !(c.timescale > 0 && c.timescale <= 1e6) {
		errs = append(errs, fmt.Errorf("Timescale(%v): the factor must be above 0 and at most a million", c.timescale))
	}
	if c.logger == nil {
		errs = append(errs, errors.New("Logger(nil): leave the option out to have nothing logged"))
	}
	if slices.Contains(c.trace, nil) {
		errs = append(errs, errors.New("TraceTo(nil): leave the option out to have nothing traced"))
	}
	if c.eventCapacity < 1 || c.eventCapacity > 1<<24 {
		errs = append(errs, fmt.Errorf("EventCapacity(%d): between 1 and 16777216 events can be remembered", c.eventCapacity))
	}
	if c.snapshotEvery < 1 {
		errs = append(errs, fmt.Errorf("SnapshotEvery(%d): a snapshot is taken after 1 entry or more; leave the option out for the usual 8192", c.snapshotEvery))
	}
	return errs
}

func (c *config) checkListeners() (errs []error) {
	if c.inMemory && c.firstPort != 0 {
		errs = append(errs, errors.New("Ports and InMemoryClients contradict each other: without sockets there are no ports; leave one out"))
	}
	if c.inMemory && c.advertise != "" {
		errs = append(errs, errors.New("Advertise and InMemoryClients contradict each other: in memory the names are fixed; leave one out"))
	}
	if last := c.firstPort + c.brokers - 1; c.firstPort < 0 || last > 65535 {
		errs = append(errs, fmt.Errorf("Ports(%d): the ports %d to %d must lie between 1 and 65535", c.firstPort, c.firstPort, last))
	}
	if len(c.hosts) == 0 || slices.Contains(c.hosts, "") {
		errs = append(errs, errors.New(`Listen: name at least one address, as in Listen("127.0.0.1"); for every interface that is "0.0.0.0"`))
	}
	for _, host := range c.hosts {
		if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
			errs = append(errs, fmt.Errorf("Listen(%q): name an IP address without a port, as in \"127.0.0.1\"; what clients are told is set by Advertise", host))
		}
	}
	if _, err := netip.ParseAddr(c.advertise); err != nil && strings.ContainsAny(c.advertise, ": \t/,") {
		errs = append(errs, fmt.Errorf("Advertise(%q): name a host alone, as in \"localhost\"; the ports are those of Ports", c.advertise))
	}
	return errs
}

func (c *config) checkTopics() (errs []error) {
	seen := map[string]bool{}
	for _, t := range c.topics {
		if err := t.check(c.brokers); err != nil {
			errs = append(errs, fmt.Errorf("Topic(%q, %d, %d): %w", t.name, t.partitions, t.rf, err))
		}
		if seen[t.name] {
			errs = append(errs, fmt.Errorf("Topic(%q): given twice; leave one out", t.name))
		}
		seen[t.name] = true
	}
	return errs
}

// check finds what is wrong with a topic before anybody is asked to create it.
func (t topic) check(brokers int) error {
	if err := metadata.ValidateTopicName(t.name); err != nil {
		return err
	}
	if t.partitions < 1 || t.partitions > 10_000 {
		return fmt.Errorf("%w: a topic has between 1 and 10000 partitions", metadata.ErrInvalidPartitions)
	}
	if t.rf < 1 || t.rf > brokers {
		return fmt.Errorf("%w: %d replicas need as many brokers, and there are %d; raise Brokers or lower the factor",
			metadata.ErrInvalidReplicationFactor, t.rf, brokers)
	}
	kv, err := pairs(t.cfg)
	if err != nil {
		return err
	}
	return metadata.ValidateTopicConfigs(kv)
}

func (c *config) brokerConfigs() (map[string]string, []error) {
	kv := map[string]string{}
	if c.kafkaTimings {
		maps.Copy(kv, metadata.KafkaTimings())
	}
	given, err := pairs(c.given)
	if err != nil {
		return nil, []error{fmt.Errorf("BrokerConfig: %w", err)}
	}
	maps.Copy(kv, given)
	return kv, nil
}

// pairs splits key=value texts.
func pairs(texts []string) (map[string]string, error) {
	kv := make(map[string]string, len(texts))
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || strings.TrimSpace(key) == "" {
			return nil, fmt.Errorf("%w: %q is no key=value pair, as in \"min.insync.replicas=2\"", metadata.ErrInvalidConfig, text)
		}
		kv[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return kv, nil
}

// raftTimeout is Raft's heartbeat and election timeout.
func (c *config) raftTimeout() time.Duration {
	return time.Duration(c.timescale * float64(500*time.Millisecond))
}

func (c *config) rack(broker int32) string {
	if i := int(broker) - 1; i < len(c.racks) {
		return c.racks[i]
	}
	return ""
}
