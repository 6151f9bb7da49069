package groups

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// Config is what Groups needs of its broker. All of it is set.
type Config struct {
	ID     int32
	Node   string // the broker's name in events
	Config *metadata.BrokerConfig
	Gate   *gate.Gate
	Events event.Sink
	Logger *slog.Logger
	Join   *sync.WaitGroup // joins what reads a shard

	// Image is what the broker has replayed of the metadata log, and Until waits until that satisfies a
	// condition, ctx ends or the broker does.
	Image func() *metadata.Image
	Until func(ctx context.Context, cond func(*metadata.Image) bool) error
	// Relays carry to the active coordinator what may wait for minutes, and Beats heartbeats, which
	// nothing may hold up.
	Relays, Beats Channel
	// Standing is the newest time at which the broker was not silent, for all that it knows.
	Standing func() time.Time
	Replica  func(metadata.TopicPartition) *replication.Replica
	// CreateTopic has the active coordinator create a topic, as its defaults say.
	CreateTopic func(ctx context.Context, name string) error
	// Guarded carries out what answers a request, and answers it if that panics.
	Guarded func(r *wire.Request, later func() kmsg.Response) kmsg.Response
}

// A Channel carries requests to the active coordinator, whichever node that is. Do gives up only when
// ctx ends; the request may have been carried out then.
type Channel interface {
	Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
}

// Groups is this broker's part in consumer groups. Of each partition of
// __consumer_offsets that it leads it is the groups' broker: it relays what their
// members ask to the active coordinator, holds the fence of their commits, and knows
// what they have committed. A shard is all of that for one partition, for one leader epoch.
//
// Its goroutines: one for each shard that is being loaded, and those that call Expire and KeepAlive.
type Groups struct {
	cfg    Config
	ctx    context.Context // ends with the broker
	image  func() *metadata.Image
	alive  *keepAlive
	sweep  chan struct{} // one slot: offsets may be of topics that are gone
	making chan struct{} // one slot: whoever has __consumer_offsets made

	mu     sync.Mutex // a leaf; of what follows
	topic  *metadata.Topic
	shards map[int32]*shard
	rng    *rand.Rand // of member ids, which nobody may foresee or repeat
}

// New returns the part of a broker that ends with ctx.
func New(ctx context.Context, cfg Config) *Groups {
	g := &Groups{
		cfg: cfg, ctx: ctx, image: cfg.Image,
		sweep: make(chan struct{}, 1), making: make(chan struct{}, 1), shards: map[int32]*shard{},
		rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	g.alive = newKeepAlive(g.beat)
	return g
}

// KeepAlive tells the active coordinator of members whom this broker has heard by itself, until ctx ends.
func (g *Groups) KeepAlive(ctx context.Context) error { return g.alive.run(ctx) }

// Follow brings the shards to what the metadata log says now, before the world is shown it. gone: topics
// may have been deleted. It never waits.
func (g *Groups) Follow(im *metadata.Image, gone bool) {
	topic := im.TopicByName(metadata.OffsetsTopic)
	g.mu.Lock()
	defer g.mu.Unlock()
	if topic != g.topic {
		g.topic = topic
		g.followTopic(topic)
	}
	if len(g.shards) > 0 && gone {
		select {
		case g.sweep <- struct{}{}:
		default:
		}
	}
}

func (g *Groups) followTopic(topic *metadata.Topic) {
	leads := map[int32]int32{} // in which epoch
	if topic != nil {
		for i := range topic.Partitions {
			if p := &topic.Partitions[i]; p.Leader == g.cfg.ID {
				leads[int32(i)] = p.LeaderEpoch
			}
		}
	}
	for i, s := range g.shards {
		if epoch, ok := leads[i]; !ok || epoch != s.epoch || topic.ID != s.replica.ID().Topic {
			s.end()
			delete(g.shards, i)
		}
	}
	for i, epoch := range leads {
		r := g.cfg.Replica(metadata.TopicPartition{Topic: topic.ID, Partition: i})
		if g.shards[i] != nil || r == nil {
			continue
		}
		s := newShard(g, i, epoch, r)
		g.shards[i] = s
		g.cfg.Join.Go(s.load)
	}
}

// loadPatience is how long a request waits for a shard that is being loaded, which is a matter
// of milliseconds if the replicas are there: not every client asks again by itself.
const loadPatience = 250 * time.Millisecond

// loaded returns the shard of a group that knows what is committed. Errors: as for of;
// ErrCoordinatorLoadInProgress if it does not know yet, and not soon.
func (g *Groups) loaded(ctx context.Context, group string) (*shard, error) {
	s, err := g.of(group)
	if err != nil || s.ready() {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	select {
	case <-s.loaded:
		return s, nil
	case <-s.ctx.Done():
		return nil, s.over()
	case <-ctx.Done():
		return nil, fmt.Errorf("group %q: %w", group, metadata.ErrCoordinatorLoadInProgress)
	}
}

// of returns the shard of a group, which may still be loading: it can be told that members
// live, and nothing else. The error is ErrNotCoordinator if this broker is
// not the group's.
func (g *Groups) of(group string) (*shard, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.topic == nil {
		return nil, fmt.Errorf("group %q: %w: %s is not made yet", group, metadata.ErrNotCoordinator, metadata.OffsetsTopic)
	}
	partition := metadata.GroupPartition(group, len(g.topic.Partitions))
	s := g.shards[partition]
	if s == nil {
		return nil, fmt.Errorf("group %q: %w: broker %d does not lead %s-%d", group, metadata.ErrNotCoordinator, g.cfg.ID, metadata.OffsetsTopic, partition)
	}
	return s, nil
}

// speaks reports whether this broker may say by itself how a group of its is doing: not if it may be taken for
// silent by now, ErrCoordinatorNotAvailable, for there may be another broker of the group then.
func (g *Groups) speaks(now time.Time) error {
	if now.Before(g.cfg.Standing().Add(g.cfg.Config.SessionTimeout)) || !guard.OwnSession.Holds() {
		return nil
	}
	return fmt.Errorf("%w: broker %d may be taken for silent", metadata.ErrCoordinatorNotAvailable, g.cfg.ID)
}

// led returns the shards that are ready. all tells that no other one is being loaded.
func (g *Groups) led() (shards []*shard, all bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all = true
	for _, s := range g.shards {
		if s.ready() {
			shards = append(shards, s)
		} else {
			all = false
		}
	}
	slices.SortFunc(shards, func(a, b *shard) int { return int(a.partition - b.partition) })
	return shards, all
}

// newMemberID makes the id of a new member, as Kafka's brokers do: after its instance or
// its client.
func (g *Groups) newMemberID(client, instance string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if instance != "" {
		client = instance
	}
	return client + "-" + metadata.NewUUID(g.rng).String()
}

// BrokerOf returns the group's broker in an image; not ok while it has none.
func BrokerOf(im *metadata.Image, group string) (id int32, ok bool) {
	topic := im.TopicByName(metadata.OffsetsTopic)
	if topic == nil || len(topic.Partitions) == 0 {
		return metadata.NoLeader, false
	}
	id = topic.Partitions[metadata.GroupPartition(group, len(topic.Partitions))].Leader
	return id, id != metadata.NoLeader
}

// EnsureTopic has __consumer_offsets made, if it is not there yet, and reports whether
// this broker knows of it now.
func (g *Groups) EnsureTopic(ctx context.Context) error {
	there := func() bool { return g.image().TopicByName(metadata.OffsetsTopic) != nil }
	if there() {
		return nil
	}
	select {
	case g.making <- struct{}{}:
		defer func() { <-g.making }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", metadata.ErrCoordinatorNotAvailable, context.Cause(ctx))
	}
	if there() {
		return nil
	}
	why := "it is not seen yet"
	if err := g.cfg.CreateTopic(ctx, metadata.OffsetsTopic); err != nil {
		why = err.Error() // not wrapped: clients of groups know few errors
	}
	if there() {
		return nil
	}
	return fmt.Errorf("%w: %s cannot be made: %s", metadata.ErrCoordinatorNotAvailable, metadata.OffsetsTopic, why)
}

// rest waits for d unless ctx ends first.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
