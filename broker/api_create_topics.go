package broker

// CreateTopics (key 19), versions 2 to 7. Any broker takes it and passes it on to
// the active coordinator, which checks it, places the replicas and answers; this
// broker then waits until its own image has the topics.
//
// Left out: quotas and authorization.
//
// Versions: 4 a number of partitions or replication factor of -1 means the
// broker's default (older clients are served the same); 5 flexible, and the
// topic's number of partitions, replication factor and configs in the answer; 7
// its id.

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// createTopicsVersion is the version that brokers forward.
const createTopicsVersion = 7

func (b *Broker) createTopics(ctx context.Context, req *kmsg.CreateTopicsRequest) kmsg.Response {
	ctx, cancel := adminTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	ahead := *req
	ahead.Version = createTopicsVersion
	answer, code := b.forwarded(ctx, &ahead)
	resp, ok := answer.(*kmsg.CreateTopicsResponse)
	if code != 0 || !ok {
		return wire.ErrorAnswer(req, orUnknown(code))
	}
	resp.Version = req.Version
	b.completeCreated(req, resp)
	if !req.ValidateOnly {
		b.settle(ctx, func(im *metadata.Image) bool { return hasCreated(im, resp) })
	}
	return resp
}

// hasCreated reports whether im has every topic that resp says was created, or a
// later one of its name. A topic may also have been deleted again: then im is
// past it, which its absence together with a newer image does not show, so the
// wait's bound ends it.
func hasCreated(im *metadata.Image, resp *kmsg.CreateTopicsResponse) bool {
	return !slices.ContainsFunc(resp.Topics, func(t kmsg.CreateTopicsResponseTopic) bool {
		return t.ErrorCode == 0 && im.TopicByName(t.Topic) == nil
	})
}

// completeCreated fills in what clients rely on: configs that are never null and
// have a source, which some clients fail without.
func (b *Broker) completeCreated(req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		t.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		if t.ErrorCode != 0 {
			t.NumPartitions, t.ReplicationFactor = -1, -1
			continue
		}
		for _, e := range b.cfg.Config.DescribeTopic(askedConfigs(req, t.Topic)) {
			t.Configs = append(t.Configs, kmsg.CreateTopicsResponseTopicConfig{
				Name: e.Name, Value: &e.Value, ReadOnly: e.ReadOnly, Source: int8(e.Source),
			})
		}
	}
}

// askedConfigs is what the request sets on a topic.
func askedConfigs(req *kmsg.CreateTopicsRequest, topic string) map[string]string {
	configs := map[string]string{}
	for _, t := range req.Topics {
		if t.Topic != topic {
			continue
		}
		for _, c := range t.Configs {
			if c.Value != nil {
				configs[c.Name] = *c.Value
			}
		}
	}
	return configs
}

// orUnknown is UNKNOWN_SERVER_ERROR for an answer that is missing without an error.
func orUnknown(code int16) int16 {
	if code == 0 {
		return wire.Code(metadata.ErrUnknownServer)
	}
	return code
}
