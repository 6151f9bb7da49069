package coordinator

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// ElectLeaders (43), in an Envelope: preferred leaders (type 0, all that version 0
// knows), or with type 1 unclean ones where nobody else is left. No topics means
// all partitions; then those that need no election are left out of the answer, as
// Kafka does. Left out: the timeout.

func (a *active) electLeaders(req *kmsg.ElectLeadersRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	resp.Topics = []kmsg.ElectLeadersResponseTopic{}
	if req.ElectionType != 0 && req.ElectionType != 1 {
		resp.ErrorCode = wire.Code(metadata.ErrInvalidRequest)
		return resp, nil
	}
	cmd := state.ElectLeaders{Unclean: req.ElectionType == 1}
	answer := electAnswer{resp: resp}
	if req.Topics != nil {
		cmd.Partitions = a.partitionsOf(req, &answer)
		if len(cmd.Partitions) == 0 {
			return resp, nil
		}
	}
	result, err := a.n.propose(a.ctx, cmd)
	if err != nil {
		return nil, err
	}
	im := a.n.Image()
	for _, r := range result.Partitions {
		if req.Topics == nil && errors.Is(r.Err, metadata.ErrElectionNotNeeded) {
			continue
		}
		if t := im.TopicByID(r.ID.Topic); r.Topic == "" && t != nil {
			r.Topic = t.Name
		}
		answer.add(r.Topic, r.ID.Partition, r.Err)
	}
	return resp, nil
}

// partitionsOf names the partitions asked for; those of unknown topics are answered at once.
func (a *active) partitionsOf(req *kmsg.ElectLeadersRequest, answer *electAnswer) []metadata.TopicPartition {
	im := a.n.Image()
	var ids []metadata.TopicPartition
	for _, t := range req.Topics {
		topic := im.TopicByName(t.Topic)
		for _, p := range t.Partitions {
			if topic == nil {
				answer.add(t.Topic, p, fmt.Errorf("%w: %s", metadata.ErrUnknownTopicOrPartition, t.Topic))
				continue
			}
			ids = append(ids, metadata.TopicPartition{Topic: topic.ID, Partition: p})
		}
	}
	return ids
}

// electAnswer groups the answers by topic.
type electAnswer struct {
	resp *kmsg.ElectLeadersResponse
	at   map[string]int
}

func (e *electAnswer) add(topic string, partition int32, err error) {
	if e.at == nil {
		e.at = map[string]int{}
	}
	at, ok := e.at[topic]
	if !ok {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = topic
		at = len(e.resp.Topics)
		e.at[topic], e.resp.Topics = at, append(e.resp.Topics, t)
	}
	p := kmsg.NewElectLeadersResponseTopicPartition()
	p.Partition, p.ErrorCode, p.ErrorMessage = partition, wire.Code(err), message(err)
	e.resp.Topics[at].Partitions = append(e.resp.Topics[at].Partitions, p)
}
