package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// groups is this broker's part in consumer groups. Of each partition of
// __consumer_offsets that it leads it is the groups' broker: it relays what their
// members ask to the active coordinator, holds the fence of their commits, and knows
// what they have committed. A shard is all of that for one partition, for one leader epoch.
//
// Its goroutines: one for each shard that is being loaded, expire and keepAlive.run.
type groups struct {
	cfg     Config
	node    string
	ctx     context.Context // ends with the broker
	join    *sync.WaitGroup
	images  *images
	replica func(metadata.TopicPartition) *replication.Replica
	create  func(context.Context, *kmsg.CreateTopicsRequest) kmsg.Response
	relays  *coordinatorChannel // what may wait for minutes
	beats   *coordinatorChannel // heartbeats: nothing may hold them up
	alive   *keepAlive
	sweep   chan struct{} // one slot: offsets may be of topics that are gone
	making  chan struct{} // one slot: whoever has __consumer_offsets made

	mu     sync.Mutex // a leaf; of what follows
	topic  *metadata.Topic
	shards map[int32]*groupShard
	rng    *rand.Rand // of member ids, which nobody may foresee or repeat
}

func newGroups(cfg Config, node string, ctx context.Context, join *sync.WaitGroup, im *images, relays, beats *coordinatorChannel) *groups {
	g := &groups{
		cfg: cfg, node: node, ctx: ctx, join: join, images: im, relays: relays, beats: beats,
		sweep: make(chan struct{}, 1), making: make(chan struct{}, 1), shards: map[int32]*groupShard{},
		rng: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	g.alive = newKeepAlive(g.beat)
	return g
}

// follow brings the shards to what the metadata log says now, before the world is shown it.
// It never waits.
func (g *groups) follow(c change) {
	topic := c.after.TopicByName(metadata.OffsetsTopic)
	g.mu.Lock()
	defer g.mu.Unlock()
	if topic != g.topic {
		g.topic = topic
		g.followTopic(topic)
	}
	gone := func(d metadata.Delta) bool { _, ok := d.(metadata.TopicDeleted); return ok }
	if len(g.shards) > 0 && (c.whole || slices.ContainsFunc(c.deltas, gone)) {
		select {
		case g.sweep <- struct{}{}:
		default:
		}
	}
}

func (g *groups) followTopic(topic *metadata.Topic) {
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
		r := g.replica(metadata.TopicPartition{Topic: topic.ID, Partition: i})
		if g.shards[i] != nil || r == nil {
			continue
		}
		s := newGroupShard(g, i, epoch, r)
		g.shards[i] = s
		g.join.Go(s.load)
	}
}

// loadPatience is how long a request waits for a shard that is being loaded, which is a matter
// of milliseconds if the replicas are there: not every client asks again by itself.
const loadPatience = 250 * time.Millisecond

// loaded returns the shard of a group that knows what is committed. Errors: as for of;
// ErrCoordinatorLoadInProgress if it does not know yet, and not soon.
func (g *groups) loaded(ctx context.Context, group string) (*groupShard, error) {
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
func (g *groups) of(group string) (*groupShard, error) {
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
func (g *groups) speaks(now time.Time) error {
	if now.Before(g.beats.quorum.standing().Add(g.cfg.Config.SessionTimeout)) || !guard.OwnSession.Holds() {
		return nil
	}
	return fmt.Errorf("%w: broker %d may be taken for silent", metadata.ErrCoordinatorNotAvailable, g.cfg.ID)
}

// led returns the shards that are ready. all tells that no other one is being loaded.
func (g *groups) led() (shards []*groupShard, all bool) {
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
	slices.SortFunc(shards, func(a, b *groupShard) int { return int(a.partition - b.partition) })
	return shards, all
}

// newMemberID makes the id of a new member, as Kafka's brokers do: after its instance or
// its client.
func (g *groups) newMemberID(client, instance string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if instance != "" {
		client = instance
	}
	return client + "-" + metadata.NewUUID(g.rng).String()
}

// brokerOf returns the group's broker in an image; not ok while it has none.
func brokerOf(im *metadata.Image, group string) (id int32, ok bool) {
	topic := im.TopicByName(metadata.OffsetsTopic)
	if topic == nil || len(topic.Partitions) == 0 {
		return metadata.NoLeader, false
	}
	id = topic.Partitions[metadata.GroupPartition(group, len(topic.Partitions))].Leader
	return id, id != metadata.NoLeader
}

// offsetsTopic has __consumer_offsets made, if it is not there yet, and reports whether
// this broker knows of it now.
func (g *groups) offsetsTopic(ctx context.Context) error {
	there := func() bool { return g.images.published.Load().TopicByName(metadata.OffsetsTopic) != nil }
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
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = createTopicsVersion, int32(autoCreateWait.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = metadata.OffsetsTopic, -1, -1
	req.Topics = append(req.Topics, t)
	resp, _ := g.create(ctx, req).(*kmsg.CreateTopicsResponse)
	if there() {
		return nil
	}
	why := "no answer"
	if resp != nil && len(resp.Topics) == 1 && resp.Topics[0].ErrorMessage != nil {
		why = *resp.Topics[0].ErrorMessage
	}
	return fmt.Errorf("%w: %s cannot be made: %s", metadata.ErrCoordinatorNotAvailable, metadata.OffsetsTopic, why)
}
