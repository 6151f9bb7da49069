package broker

// Metadata (key 3), versions 0 to 13: brokers and topics, as this broker knows
// them. Addresses are those of the listener that the request came on. Fenced
// brokers are not listed; a leader that is not listed is no leader, so its
// partition says LEADER_NOT_AVAILABLE. Leader epochs are the real ones: clients
// drop what is older than they know. ControllerID names a broker, because every
// broker takes admin requests and passes them on.
//
// A topic that is asked for by name and absent is created if the request and
// auto.create.topics.enable allow it; the answer waits a little for that.
//
// Left out: authorization; asked for the allowed operations, the answer is all.
//
// Versions: 0 asks for everything with an empty list, later ones with null; 4
// says whether to create; 5 offline replicas; 7 leader epochs; 8 allowed
// operations; 9 flexible; 10 topic ids in the answer; 12 topics asked for by id;
// 13 a top-level error for clients to bootstrap again, never used here.

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// The operations that Kafka knows of a cluster and of a topic, as bits.
const (
	clusterOperations int32 = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
	topicOperations   int32 = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
)

func (b *Broker) describeMetadata(ctx context.Context, r *wire.Request, req *kmsg.MetadataRequest) kmsg.Response {
	if malformedMetadata(req) {
		return wire.ErrorAnswer(req, kerr.InvalidRequest.Code)
	}
	if req.Version < 4 || req.AllowAutoTopicCreation {
		b.createAbsent(ctx, req)
	}
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	d := describer{image: b.image(), listener: r.Conn.Listener(), version: req.Version, operations: req.IncludeTopicAuthorizedOperations}
	resp.ClusterID = kmsg.StringPtr(b.cfg.ClusterID)
	resp.ControllerID = b.controllerID(d.image)
	resp.Brokers = d.brokers()
	resp.Topics = d.topics(req)
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	return resp
}

// malformedMetadata: a topic without a name before there were ids, or with neither.
func malformedMetadata(req *kmsg.MetadataRequest) bool {
	return slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool {
		named, byID := t.Topic != nil, t.TopicID != [16]byte{}
		return !named && !byID || byID && req.Version < 12
	})
}

// controllerID names an unfenced broker: this one if possible; -1 if there is none.
func (b *Broker) controllerID(im *metadata.Image) int32 {
	if me, ok := im.Broker(b.cfg.ID); ok && !me.Fenced {
		return b.cfg.ID
	}
	for _, broker := range im.Brokers() {
		if !broker.Fenced {
			return broker.ID
		}
	}
	return -1
}

// createAbsent creates the topics that are asked for by name and absent, if they
// are to be. Whether that worked is seen in the image.
func (b *Broker) createAbsent(ctx context.Context, req *kmsg.MetadataRequest) {
	if !b.cfg.Config.AutoCreateTopics {
		return
	}
	im, seen := b.image(), map[string]bool{}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis = createTopicsVersion, int32(autoCreateWait.Milliseconds())
	for _, t := range req.Topics {
		if t.Topic == nil || seen[*t.Topic] || im.TopicByName(*t.Topic) != nil || metadata.ValidateTopicName(*t.Topic) != nil {
			continue
		}
		seen[*t.Topic] = true
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = *t.Topic, -1, -1
		create.Topics = append(create.Topics, topic)
	}
	if len(create.Topics) > 0 {
		b.createTopics(ctx, create)
	}
}

// A describer puts an image into the words of one Metadata response.
type describer struct {
	image      *metadata.Image
	listener   string
	version    int16
	operations bool // name the allowed operations
}

// reached returns where an unfenced broker is reached; not ok if it is not.
func (d *describer) reached(id int32) (metadata.Broker, metadata.Endpoint, bool) {
	broker, ok := d.image.Broker(id)
	if !ok || broker.Fenced {
		return broker, metadata.Endpoint{}, false
	}
	e, ok := broker.Endpoint(d.listener)
	return broker, e, ok
}

func (d *describer) brokers() []kmsg.MetadataResponseBroker {
	brokers := []kmsg.MetadataResponseBroker{}
	for _, known := range d.image.Brokers() {
		if broker, e, ok := d.reached(known.ID); ok {
			brokers = append(brokers, kmsg.MetadataResponseBroker{NodeID: broker.ID, Host: e.Host, Port: e.Port, Rack: rackOf(broker)})
		}
	}
	return brokers
}

// topics describes what the request asks for: every topic, or each named one once.
func (d *describer) topics(req *kmsg.MetadataRequest) []kmsg.MetadataResponseTopic {
	topics := []kmsg.MetadataResponseTopic{}
	if req.Topics == nil || len(req.Topics) == 0 && req.Version == 0 {
		for _, t := range d.image.Topics() {
			topics = append(topics, d.topic(t))
		}
		return topics
	}
	type name struct {
		id   metadata.UUID
		name string
	}
	seen := map[name]bool{}
	for _, want := range req.Topics {
		ref := topicRef{id: want.TopicID, byID: want.TopicID != [16]byte{}}
		if !ref.byID {
			ref.name = *want.Topic
		}
		if n := (name{ref.id, ref.name}); !seen[n] {
			seen[n] = true
			topics = append(topics, d.named(ref))
		}
	}
	return topics
}

// named describes one topic that was asked for, which may not be there.
func (d *describer) named(ref topicRef) kmsg.MetadataResponseTopic {
	if !ref.byID {
		if err := metadata.ValidateTopicName(ref.name); err != nil {
			return d.absent(ref, err)
		}
	}
	t, err := ref.find(d.image)
	if err != nil {
		return d.absent(ref, err)
	}
	return d.topic(t)
}

func (d *describer) absent(ref topicRef, err error) kmsg.MetadataResponseTopic {
	topic := kmsg.NewMetadataResponseTopic()
	topic.ErrorCode, topic.TopicID = wire.Code(err), ref.id
	if !ref.byID {
		topic.Topic = &ref.name
	}
	topic.IsInternal = metadata.InternalTopic(ref.name)
	topic.Partitions = []kmsg.MetadataResponseTopicPartition{}
	return topic
}

func (d *describer) topic(t *metadata.Topic) kmsg.MetadataResponseTopic {
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.TopicID, topic.IsInternal = &t.Name, t.ID, metadata.InternalTopic(t.Name)
	if d.operations {
		topic.AuthorizedOperations = topicOperations
	}
	topic.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i := range t.Partitions {
		topic.Partitions[i] = d.partition(int32(i), &t.Partitions[i])
	}
	return topic
}

func (d *describer) partition(n int32, p *metadata.Partition) kmsg.MetadataResponseTopicPartition {
	a := kmsg.NewMetadataResponseTopicPartition()
	a.Partition, a.Leader, a.LeaderEpoch = n, p.Leader, p.LeaderEpoch
	a.Replicas, a.ISR, a.OfflineReplicas = p.Replicas, p.ISR, []int32{}
	for _, id := range p.Replicas {
		if broker, ok := d.image.Broker(id); !ok || broker.Fenced {
			a.OfflineReplicas = append(a.OfflineReplicas, id)
		}
	}
	if _, _, ok := d.reached(p.Leader); !ok {
		a.Leader, a.ErrorCode = metadata.NoLeader, kerr.LeaderNotAvailable.Code
	}
	return a
}
