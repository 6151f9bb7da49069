package coordinator

import (
	"cmp"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// CreateTopics (19), in an Envelope, any version that brokers accept. Each topic
// succeeds or fails by itself. -1 partitions or replicas ask for num.partitions and
// default.replication.factor. The answer shows what the topic came to be, also when
// it was only to be validated. Left out: the timeout, for nothing here waits long.

func (a *active) createTopics(req *kmsg.CreateTopicsRequest) (kmsg.Response, error) {
	ids, seed := a.draw(len(req.Topics))
	cmd := state.CreateTopics{Seed: seed, ValidateOnly: req.ValidateOnly}
	refused := make([]error, len(req.Topics)) // before it came to a command
	named := map[string]int{}
	for _, t := range req.Topics {
		named[t.Topic]++
	}
	for i, t := range req.Topics {
		topic, err := newTopic(t, ids[i])
		if t.Topic == metadata.OffsetsTopic {
			topic, err = a.offsetsTopic(topic, err)
		}
		if named[t.Topic] > 1 {
			err = fmt.Errorf("%w: topic %s is there more than once", metadata.ErrInvalidRequest, t.Topic)
		}
		if refused[i] = err; err == nil {
			cmd.Topics = append(cmd.Topics, topic)
		}
	}
	var result state.Result
	if len(cmd.Topics) > 0 {
		var err error
		if result, err = a.n.propose(a.ctx, cmd); err != nil {
			return nil, err
		}
	}
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	resp.Topics = []kmsg.CreateTopicsResponseTopic{}
	made := result.Created
	for i, t := range req.Topics {
		c := state.CreatedTopic{Name: t.Topic, Err: refused[i]}
		if refused[i] == nil && len(made) > 0 {
			c, made = made[0], made[1:]
		}
		resp.Topics = append(resp.Topics, a.createdTopic(c))
	}
	return resp, nil
}

// newTopic translates one topic of the request.
func newTopic(t kmsg.CreateTopicsRequestTopic, id metadata.UUID) (state.NewTopic, error) {
	topic := state.NewTopic{Name: t.Topic, ID: id, Partitions: t.NumPartitions, ReplicationFactor: t.ReplicationFactor}
	for _, c := range t.Configs {
		if c.Value == nil {
			return topic, fmt.Errorf("%w: %s has no value", metadata.ErrInvalidConfig, c.Name)
		}
		if topic.Configs == nil {
			topic.Configs = map[string]string{}
		}
		topic.Configs[c.Name] = *c.Value
	}
	if len(t.ReplicaAssignment) == 0 {
		return topic, nil
	}
	if cmp.Or(t.NumPartitions, -1) != -1 || cmp.Or(t.ReplicationFactor, -1) != -1 {
		return topic, fmt.Errorf("%w: topic %s has an assignment, and numbers beside it", metadata.ErrInvalidRequest, t.Topic)
	}
	topic.Partitions, topic.ReplicationFactor = -1, -1
	topic.Assignment = make([][]int32, len(t.ReplicaAssignment))
	for _, p := range t.ReplicaAssignment {
		if p.Partition < 0 || int(p.Partition) >= len(topic.Assignment) || topic.Assignment[p.Partition] != nil || len(p.Replicas) == 0 {
			return topic, fmt.Errorf("%w: the partitions of topic %s are not numbered from 0 on, each once and with replicas",
				metadata.ErrInvalidReplicaAssignment, t.Topic)
		}
		topic.Assignment[p.Partition] = p.Replicas
	}
	return topic, nil
}

// offsetsTopic gives __consumer_offsets the shape that it must have. Who makes it by hand may
// choose how many partitions and replicas, nothing else.
func (a *active) offsetsTopic(t state.NewTopic, err error) (state.NewTopic, error) {
	if err != nil {
		return t, err
	}
	if len(t.Configs) > 0 {
		return t, fmt.Errorf("%w: the configs of %s are the cluster's own", metadata.ErrInvalidConfig, t.Name)
	}
	c, rf := a.n.cfg.Broker, int(t.ReplicationFactor)
	if len(t.Assignment) > 0 {
		rf = len(t.Assignment[0])
	} else if rf == -1 {
		brokers := a.n.cfg.Brokers
		if brokers == 0 {
			brokers = len(a.n.Image().Brokers())
		}
		rf = min(c.OffsetsReplicationFactor, brokers)
		t.ReplicationFactor = int16(rf)
	}
	if t.Partitions == -1 && len(t.Assignment) == 0 {
		t.Partitions = int32(c.OffsetsPartitions)
	}
	t.Configs = metadata.OffsetsTopicConfigs(rf)
	return t, nil
}

func (a *active) createdTopic(c state.CreatedTopic) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic, t.ErrorCode, t.ErrorMessage = c.Name, wire.Code(c.Err), message(c.Err)
	t.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	if c.Err != nil {
		t.NumPartitions, t.ReplicationFactor = -1, -1
		return t
	}
	t.TopicID = c.Topic.ID
	t.NumPartitions, t.ReplicationFactor = int32(len(c.Topic.Partitions)), int16(replicationFactor(c.Topic))
	for _, e := range a.n.cfg.Broker.DescribeTopic(c.Topic.Configs) {
		tc := kmsg.NewCreateTopicsResponseTopicConfig()
		tc.Name, tc.Value, tc.ReadOnly, tc.Source = e.Name, kmsg.StringPtr(e.Value), e.ReadOnly, int8(e.Source)
		t.Configs = append(t.Configs, tc)
	}
	return t
}
