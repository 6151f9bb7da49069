package broker

// DeleteTopics (key 20), versions 1 to 6. It is passed on to the active
// coordinator; this broker then waits until its own image is without the topics.
// Replicas are dropped by each broker when it learns of it.
//
// Left out: delete.topic.enable, which is always on, and authorization.
//
// Versions: 4 flexible; 5 error messages; 6 topics by id.

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// deleteTopicsVersion is the version that brokers forward.
const deleteTopicsVersion = 6

func (b *Broker) deleteTopics(ctx context.Context, req *kmsg.DeleteTopicsRequest) kmsg.Response {
	ctx, cancel := adminTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	ahead := *req
	ahead.Version = deleteTopicsVersion
	for _, name := range req.TopicNames {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		ahead.Topics = append(ahead.Topics, t)
	}
	before := b.image()
	answer, code := b.forwarded(ctx, &ahead)
	resp, ok := answer.(*kmsg.DeleteTopicsResponse)
	if code != 0 || !ok {
		return wire.ErrorAnswer(req, orUnknown(code))
	}
	resp.Version = req.Version
	gone := deletedIDs(before, resp)
	b.settle(ctx, func(im *metadata.Image) bool {
		return !slices.ContainsFunc(gone, func(id metadata.UUID) bool { return im.TopicByID(id) != nil })
	})
	return resp
}

// deletedIDs are the ids of the topics that resp says were deleted.
func deletedIDs(before *metadata.Image, resp *kmsg.DeleteTopicsResponse) []metadata.UUID {
	var ids []metadata.UUID
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 {
			continue
		}
		if t.TopicID != [16]byte{} {
			ids = append(ids, t.TopicID)
		} else if t.Topic != nil && before.TopicByName(*t.Topic) != nil {
			ids = append(ids, before.TopicByName(*t.Topic).ID)
		}
	}
	return ids
}
