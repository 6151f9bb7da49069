package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// A topicRef is how a request names a topic: by id in new versions, by name in
// old ones. The id counts if it is set, or if the version knows nothing else.
type topicRef struct {
	id   metadata.UUID
	name string
	byID bool
}

func byName(name string) topicRef { return topicRef{name: name} }

func (t topicRef) String() string {
	if t.byID {
		return "topic id " + t.id.String()
	}
	return fmt.Sprintf("topic %q", t.name)
}

// find returns the topic that ref names in im, or Kafka's error for one that is
// not there. A zero id names nothing.
func (t topicRef) find(im *metadata.Image) (*metadata.Topic, error) {
	return im.FindTopic(t.id, t.name, t.byID)
}

// hosted returns the replica of a partition that this broker hosts. The error is
// Kafka's for a partition that does not exist or lives elsewhere.
func (b *Broker) hosted(im *metadata.Image, ref topicRef, partition int32) (*replication.Replica, metadata.TopicPartition, error) {
	if tp := (metadata.TopicPartition{Topic: ref.id, Partition: partition}); ref.byID {
		if r := b.replica(tp); r != nil {
			return r, tp, nil
		}
	}
	topic, err := ref.find(im)
	if err != nil {
		return nil, metadata.TopicPartition{}, err
	}
	tp := metadata.TopicPartition{Topic: topic.ID, Partition: partition}
	if _, ok := im.Partition(tp); !ok {
		return nil, tp, fmt.Errorf("%w: %s-%d", metadata.ErrUnknownTopicOrPartition, topic.Name, partition)
	}
	r := b.replica(tp)
	if r == nil {
		return nil, tp, fmt.Errorf("%w: %s-%d has no replica on broker %d", metadata.ErrNotLeaderOrFollower, topic.Name, partition, b.cfg.ID)
	}
	return r, tp, nil
}

// leaderHints gathers what an answer says about leaders that are elsewhere
// (KIP-951), so that clients move on without asking for metadata first.
type leaderHints struct {
	image    *metadata.Image
	listener string // that the request came on
	nodes    []hintedNode
}

type hintedNode struct {
	id       int32
	endpoint metadata.Endpoint
	rack     *string
}

// leaderHints starts the hints of one answer. They come from the newest image
// that the replicas know: one that has just been told to follow answers so before
// the world is shown why.
func (b *Broker) leaderHints(r *wire.Request) leaderHints {
	return leaderHints{image: b.images.learned.Load(), listener: r.Conn.Listener()}
}

// wanted reports whether an error means that the client looked in the wrong place.
func (*leaderHints) wanted(code int16) bool {
	return code == kerr.NotLeaderForPartition.Code || code == kerr.FencedLeaderEpoch.Code
}

// leader returns the leader of a partition and its epoch, and remembers where
// that broker is reached; -1 and -1 if there is nothing to say.
func (h *leaderHints) leader(tp metadata.TopicPartition) (id, epoch int32) {
	p, ok := h.image.Partition(tp)
	if !ok || p.Leader == metadata.NoLeader {
		return -1, -1
	}
	for _, n := range h.nodes {
		if n.id == p.Leader {
			return p.Leader, p.LeaderEpoch
		}
	}
	broker, _ := h.image.Broker(p.Leader)
	endpoint, ok := broker.Endpoint(h.listener)
	if !ok {
		return -1, -1
	}
	h.nodes = append(h.nodes, hintedNode{p.Leader, endpoint, rackOf(broker)})
	return p.Leader, p.LeaderEpoch
}

// rackOf is a broker's rack as the protocol has it: null if it has none.
func rackOf(b metadata.Broker) *string {
	if b.Rack == "" {
		return nil
	}
	return &b.Rack
}
