package state

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// MaxPartitions is how many partitions one CreateTopics may make, as in Kafka.
const MaxPartitions = 10_000

// metadataTopic is where brokers fetch the cluster's metadata from; no client may
// make a topic of that name.
const metadataTopic = "__cluster_metadata"

// apply makes topics, each by itself.
func (c CreateTopics) apply(w *work) {
	b := newTopicBuilder(w, c)
	for _, t := range c.Topics {
		made, err := b.build(t)
		w.result.Created = append(w.result.Created, CreatedTopic{Name: t.Name, Topic: made, Err: err})
		if err != nil {
			continue
		}
		b.took(made)
		if !c.ValidateOnly {
			w.result.Deltas = append(w.result.Deltas, metadata.TopicCreated{Topic: made})
		}
	}
}

// topicBuilder makes the topics of one command.
type topicBuilder struct {
	w          *work
	placer     *placer
	asked      map[string]int // how often a name is asked for
	collisions map[string]string
	ids        map[metadata.UUID]bool // taken by this command
	room       int                    // partitions that it may still make
}

func newTopicBuilder(w *work, c CreateTopics) *topicBuilder {
	b := &topicBuilder{
		w: w, placer: newPlacer(w.image.Brokers(), c.Seed),
		asked: map[string]int{}, collisions: map[string]string{}, ids: map[metadata.UUID]bool{}, room: MaxPartitions,
	}
	for _, t := range c.Topics {
		b.asked[t.Name]++
	}
	for _, t := range w.image.Topics() {
		b.collisions[metadata.CollisionKey(t.Name)] = t.Name
	}
	return b
}

func (b *topicBuilder) took(t metadata.Topic) {
	b.ids[t.ID] = true
	b.room -= len(t.Partitions)
	b.collisions[metadata.CollisionKey(t.Name)] = t.Name
}

// build checks what is asked for, in Kafka's order, and places it.
func (b *topicBuilder) build(t NewTopic) (metadata.Topic, error) {
	if err := b.checkName(t.Name); err != nil {
		return metadata.Topic{}, err
	}
	if t.ID.IsZero() || b.ids[t.ID] || b.w.image.TopicByID(t.ID) != nil {
		return metadata.Topic{}, fmt.Errorf("%w: topic id %v is taken or unset", metadata.ErrInvalidRequest, t.ID)
	}
	if err := metadata.ValidateTopicConfigs(t.Configs); err != nil {
		return metadata.Topic{}, err
	}
	place := b.place
	if len(t.Assignment) > 0 {
		place = b.assigned
	}
	replicas, err := place(t)
	if err != nil {
		return metadata.Topic{}, err
	}
	made := metadata.Topic{ID: t.ID, Name: t.Name, Configs: t.Configs, Partitions: make([]metadata.Partition, len(replicas))}
	for i, r := range replicas {
		isr := among(r, func(id int32) bool { return b.w.live[id] })
		if len(isr) == 0 {
			return metadata.Topic{}, fmt.Errorf("%w: all replicas of partition %d, %v, are fenced or shutting down",
				metadata.ErrInvalidReplicaAssignment, i, r)
		}
		made.Partitions[i] = metadata.Partition{Replicas: r, ISR: isr, Leader: isr[0], LastKnownLeader: metadata.NoLeader}
	}
	return made, nil
}

func (b *topicBuilder) checkName(name string) error {
	if b.asked[name] > 1 {
		return fmt.Errorf("%w: topic %q is asked for %d times in one request", metadata.ErrInvalidRequest, name, b.asked[name])
	}
	if err := metadata.ValidateTopicName(name); err != nil {
		return err
	}
	if name == metadataTopic {
		return fmt.Errorf("%w: %q is the cluster's own", metadata.ErrInvalidTopic, name)
	}
	if b.w.image.TopicByName(name) != nil {
		return fmt.Errorf("%w: %q", metadata.ErrTopicAlreadyExists, name)
	}
	if other, taken := b.collisions[metadata.CollisionKey(name)]; taken {
		return fmt.Errorf("%w: %q collides with %q: '.' and '_' count as the same", metadata.ErrInvalidTopic, name, other)
	}
	return nil
}

// place lets the placer choose the replicas.
func (b *topicBuilder) place(t NewTopic) ([][]int32, error) {
	rf, partitions := int(t.ReplicationFactor), int(t.Partitions)
	if rf == -1 {
		rf = b.w.defaults.DefaultReplicationFactor
	}
	if partitions == -1 {
		partitions = b.w.defaults.NumPartitions
	}
	switch {
	case rf < 1:
		return nil, fmt.Errorf("%w: %d, accepted is 1 or more, or -1 for the default", metadata.ErrInvalidReplicationFactor, rf)
	case partitions < 1:
		return nil, fmt.Errorf("%w: %d, accepted is 1 or more, or -1 for the default", metadata.ErrInvalidPartitions, partitions)
	case partitions > b.room:
		return nil, tooMany(partitions)
	}
	return b.placer.place(partitions, rf)
}

func tooMany(partitions int) error {
	return fmt.Errorf("%w: %d partitions, one request may make %d in all", metadata.ErrPolicyViolation, partitions, MaxPartitions)
}

// assigned checks the replicas that the client chose.
func (b *topicBuilder) assigned(t NewTopic) ([][]int32, error) {
	if t.ReplicationFactor != -1 || t.Partitions != -1 {
		return nil, fmt.Errorf("%w: with an assignment the numbers of partitions and replicas are -1, not %d and %d",
			metadata.ErrInvalidRequest, t.Partitions, t.ReplicationFactor)
	}
	if len(t.Assignment) > b.room {
		return nil, tooMany(len(t.Assignment))
	}
	for i, replicas := range t.Assignment {
		if why := b.wrongReplicas(replicas, len(t.Assignment[0])); why != "" {
			return nil, fmt.Errorf("%w: partition %d %s", metadata.ErrInvalidReplicaAssignment, i, why)
		}
	}
	return t.Assignment, nil
}

// wrongReplicas says what is wrong with one partition's replicas, "" for nothing.
func (b *topicBuilder) wrongReplicas(replicas []int32, first int) string {
	switch {
	case len(replicas) == 0:
		return "has no replica"
	case len(replicas) != first:
		return fmt.Sprintf("has %d replicas, partition 0 has %d", len(replicas), first)
	case len(replicas) > len(b.w.live):
		return fmt.Sprintf("has %d replicas, there are %d brokers", len(replicas), len(b.w.live))
	case !distinct(replicas):
		return fmt.Sprintf("names a broker twice: %v", replicas)
	}
	if i := slices.IndexFunc(replicas, func(id int32) bool { _, known := b.w.live[id]; return !known }); i >= 0 {
		return fmt.Sprintf("names broker %d, which is not registered", replicas[i])
	}
	return ""
}

// apply removes topics, each by itself.
func (c DeleteTopics) apply(w *work) {
	gone := map[metadata.UUID]bool{}
	for _, ref := range c.Topics {
		t, unknown := w.image.TopicByID(ref.ID), metadata.ErrUnknownTopicID
		if ref.ID.IsZero() {
			t, unknown = w.image.TopicByName(ref.Name), metadata.ErrUnknownTopicOrPartition
		}
		if t == nil || gone[t.ID] {
			w.result.Deleted = append(w.result.Deleted, DeletedTopic{TopicRef: ref, Err: fmt.Errorf("%w: %s", unknown, ref)})
			continue
		}
		if t.Name == metadata.OffsetsTopic {
			w.result.Deleted = append(w.result.Deleted, DeletedTopic{
				TopicRef: ref, Err: fmt.Errorf("%w: %s is the cluster's own", metadata.ErrInvalidTopic, t.Name),
			})
			continue
		}
		gone[t.ID] = true
		w.result.Deleted = append(w.result.Deleted, DeletedTopic{TopicRef: TopicRef{ID: t.ID, Name: t.Name}})
		w.result.Deltas = append(w.result.Deltas, metadata.TopicDeleted{ID: t.ID})
	}
}

// String is the name if there is one, else the id.
func (r TopicRef) String() string {
	if r.Name != "" {
		return fmt.Sprintf("%q", r.Name)
	}
	return r.ID.String()
}
