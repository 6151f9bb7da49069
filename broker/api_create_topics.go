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
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
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
	completeCreated(resp)
	if !req.ValidateOnly {
		b.settle(ctx, func(im *metadata.Image) bool { return hasCreated(im, resp) })
	}
	return resp
}

// hasCreated reports whether im has every topic that resp says is there now,
// just created or found. One that was deleted again in the meantime is waited for
// in vain; settle bounds that.
func hasCreated(im *metadata.Image, resp *kmsg.CreateTopicsResponse) bool {
	return !slices.ContainsFunc(resp.Topics, func(t kmsg.CreateTopicsResponseTopic) bool {
		there := t.ErrorCode == 0 || t.ErrorCode == kerr.TopicAlreadyExists.Code
		return there && im.TopicByName(t.Topic) == nil
	})
}

// completeCreated makes sure that configs are never null: some clients fail on
// that although the topic was created.
func completeCreated(resp *kmsg.CreateTopicsResponse) {
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.Configs == nil {
			t.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
		}
	}
}

// orUnknown is UNKNOWN_SERVER_ERROR for an answer that is missing without an error.
func orUnknown(code int16) int16 {
	if code == 0 {
		return wire.Code(metadata.ErrUnknownServer)
	}
	return code
}

// createTopic has a topic created as the defaults say. Whether this broker knows of it already is
// seen in the image.
func (b *Broker) createTopic(ctx context.Context, name string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = createTopicsVersion, int32(autoCreateWait.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	req.Topics = append(req.Topics, t)
	resp, ok := b.createTopics(ctx, req).(*kmsg.CreateTopicsResponse)
	if !ok || len(resp.Topics) != 1 {
		return fmt.Errorf("%w: no answer", metadata.ErrUnknownServer)
	}
	err := wire.Err(resp.Topics[0].ErrorCode)
	if message := resp.Topics[0].ErrorMessage; err != nil && message != nil {
		return fmt.Errorf("%w: %s", err, *message)
	}
	return err
}
