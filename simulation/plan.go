package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/brokersim/brokersim"
)

// A Plan is what a seed makes of a run: the cluster, its clients and what may
// befall them.
type Plan struct {
	Seed                  uint64
	Brokers, Coordinators int
	Topics                []Topic
	Session, Heartbeat    time.Duration
	Lag, FetchWait        time.Duration
	SnapshotEvery         int
	// Synced has every append synced before anybody is told of it, so that power
	// loss loses nothing.
	Synced bool
	// CleanEvery and ForgetEvery are how often the brokers compact, and delete old segments.
	CleanEvery, ForgetEvery time.Duration
	Producers               []Producer
	Readers                 int
	Groups                  []Group
	OffsetsPartitions       int
	Faults                  []string // by name: a random part of all that there are
	Every                   time.Duration
	Length                  time.Duration
}

// A Topic is written to by all producers.
type Topic struct {
	Name       string
	Partitions int32
	RF, MinISR int
	Segment    int // bytes
	// Keys is how many keys a compacted topic has; 0: it is not compacted.
	Keys      int
	Tombstone time.Duration // delete.retention.ms
	// Forgets says that records may be deleted, by their age or at somebody's wish.
	Forgets   bool
	Retention time.Duration // 0: for ever
}

// A Producer is one client that writes.
type Producer struct {
	Acks       int16
	Idempotent bool
	Burst      int // records at a time, at most
	Size       int // bytes of a record, about
	Rest       time.Duration
	GiveUp     time.Duration // 0: it never does
}

// largestBatch is what producers send at most, and what fits every segment.
const largestBatch = 2 << 10

// FromSeed draws a plan.
func FromSeed(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := Plan{
		Seed: seed, Brokers: 3 + r.IntN(3), Coordinators: pick(r, 1, 3, 3, 3, 5),
		Session: millis(r, 400, 3000), Lag: millis(r, 300, 5000),
		SnapshotEvery: pick(r, 4, 8, 16, 64, 4096),
		Synced:        r.IntN(4) == 0,
		Readers:       1 + r.IntN(3),
		Every:         millis(r, 100, 2500),
		Length:        millis(r, 8_000, 20_000),
	}
	p.Heartbeat = p.Session / time.Duration(3+r.IntN(5))
	p.FetchWait = min(millis(r, 20, 1000), p.Lag/3)
	for i := range 1 + r.IntN(2) {
		t := Topic{Name: fmt.Sprintf("t%d", i), Partitions: int32(1 + r.IntN(3)), RF: pick(r, 2, 3, 3, 3, min(p.Brokers, 4)), Segment: 1 << (12 + r.IntN(8))}
		t.MinISR = pick(r, 1, 2, 2, t.RF-1, t.RF)
		p.Topics = append(p.Topics, t)
	}
	for range 1 + r.IntN(3) {
		w := Producer{Acks: acksAll, Idempotent: true, Burst: 1 + r.IntN(12), Size: 10 + r.IntN(300), Rest: millis(r, 5, 150)}
		switch r.IntN(6) {
		case 0:
			w.Acks, w.Idempotent = 1, false
		case 1:
			w.Idempotent = false
		}
		if r.IntN(3) == 0 {
			w.GiveUp = millis(r, 1000, 5000) // kgo allows no less
		}
		p.Producers = append(p.Producers, w)
	}
	share := 0.15 + 0.6*r.Float64()
	for _, f := range menu {
		if r.Float64() < share {
			p.Faults = append(p.Faults, f.name)
		}
	}
	p.age(rand.New(rand.NewPCG(seed, 5)))
	return p
}

// age draws how the topics lose their old records.
func (p *Plan) age(r *rand.Rand) {
	p.CleanEvery, p.ForgetEvery = millis(r, 30, 2000), millis(r, 100, 2000)
	for i := range p.Topics {
		if t := &p.Topics[i]; r.IntN(3) == 0 {
			t.Forgets, t.Retention = true, pick(r, 0, millis(r, 4000, 20_000))
		}
	}
	if r.IntN(2) == 0 {
		p.Topics = append(p.Topics, Topic{
			Name: "keys", Partitions: int32(1 + r.IntN(2)), RF: 3, MinISR: pick(r, 1, 2, 2, 2, 3), Segment: 1 << (12 + r.IntN(3)),
			Keys: 1 + r.IntN(30), Tombstone: millis(r, 100, 20_000),
		})
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// millis draws a time between two numbers of milliseconds, short ones as often as
// ten times longer ones.
func millis(r *rand.Rand, from, to int) time.Duration {
	ms := float64(from) * math.Pow(float64(to)/float64(from), r.Float64())
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Millisecond)
}

// options are the plan in the words of the facade.
func (p Plan) options() []brokersim.Option {
	ms := func(name string, d time.Duration) string { return fmt.Sprintf("%s=%d", name, d.Milliseconds()) }
	opts := []brokersim.Option{
		brokersim.Seed(p.Seed), brokersim.Brokers(p.Brokers), brokersim.Coordinators(p.Coordinators),
		brokersim.SnapshotEvery(p.SnapshotEvery), brokersim.EventCapacity(1 << 15),
		brokersim.BrokerConfig(ms("broker.session.timeout.ms", p.Session), ms("broker.heartbeat.interval.ms", p.Heartbeat),
			ms("replica.lag.time.max.ms", p.Lag), ms("replica.fetch.wait.max.ms", p.FetchWait), "auto.create.topics.enable=false",
			ms("log.cleaner.backoff.ms", p.CleanEvery), ms("log.retention.check.interval.ms", p.ForgetEvery)),
	}
	if len(p.Groups) > 0 {
		opts = append(opts, brokersim.BrokerConfig(fmt.Sprintf("offsets.topic.num.partitions=%d", p.OffsetsPartitions), "group.min.session.timeout.ms=1"))
		if p.Synced {
			opts = append(opts, brokersim.BrokerConfig("log.flush.interval.messages=1"))
		}
	}
	for _, t := range p.Topics {
		cfg := []string{fmt.Sprintf("min.insync.replicas=%d", t.MinISR), fmt.Sprintf("segment.bytes=%d", t.Segment)}
		if p.Synced {
			cfg = append(cfg, "flush.messages=1")
		}
		if t.Keys > 0 {
			cfg = append(cfg, "cleanup.policy=compact", ms("delete.retention.ms", t.Tombstone))
		}
		if t.Retention > 0 {
			cfg = append(cfg, ms("retention.ms", t.Retention))
		}
		opts = append(opts, brokersim.Topic(t.Name, int(t.Partitions), t.RF, cfg...))
	}
	return opts
}

// spare is how many brokers may have lost records at the same time without a
// record being lost that was acknowledged by all: one less than the smallest
// number of replicas that an ack may stand for.
func (p Plan) spare() int {
	least := p.Brokers
	for _, t := range p.Topics {
		least = min(least, t.MinISR-1)
	}
	if len(p.Groups) > 0 {
		least = min(least, 1) // of __consumer_offsets
	}
	return least
}

// powerIsHarmless reports whether power may fail everywhere at once. Though no
// record is lost then, who lost power leaves every ISR and ELR, and it is up to the
// last known leader to go on: if its disk may be wiped or rot too, both must be counted.
func (p Plan) powerIsHarmless() bool {
	return p.Synced && !slices.Contains(p.Faults, "wipe") && !slices.Contains(p.Faults, "rot")
}

// topic returns the topic with that name.
func (p Plan) topic(name string) Topic {
	return p.Topics[slices.IndexFunc(p.Topics, func(t Topic) bool { return t.Name == name })]
}

// places are all partitions.
func (p Plan) places() (all []Place) {
	for _, t := range p.Topics {
		for i := range t.Partitions {
			all = append(all, Place{t.Name, i})
		}
	}
	return all
}

func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d brokers, %d coordinator nodes, session %v, heartbeat %v, lag %v, fetch wait %v, snapshot every %d, synced %v, for %v, a fault about every %v\n",
		p.Seed, p.Brokers, p.Coordinators, p.Session, p.Heartbeat, p.Lag, p.FetchWait, p.SnapshotEvery, p.Synced, p.Length, p.Every)
	for _, t := range p.Topics {
		fmt.Fprintf(&b, "  topic %+v\n", t)
	}
	for i, w := range p.Producers {
		fmt.Fprintf(&b, "  producer %d %+v\n", i, w)
	}
	for _, g := range p.Groups {
		fmt.Fprintf(&b, "  group %+v\n", g)
	}
	fmt.Fprintf(&b, "  %d readers; faults: %s\n", p.Readers, strings.Join(p.Faults, ", "))
	return b.String()
}
