package groups

// DeleteGroups (key 42), versions 0 to 3, and OffsetDelete (47), version 0 (KIP-496).
//
// A group without members is deleted with all that it has committed: first its offsets, by
// tombstones, then what is committed of the group itself, by the active coordinator. If somebody
// joins in between, the answer is NON_EMPTY_GROUP and the offsets are gone.
//
// Single offsets are deleted of a group without members, or of one of consumers in
// topics that no member subscribes to; of the others it is GROUP_SUBSCRIBED_TO_TOPIC. The
// group without a name, of simple consumers, is deleted as a whole only, as in Kafka.
//
// Left out: authorization. Versions of DeleteGroups: 2 flexible; 3 messages.

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// DeleteGroups deletes what groups have committed, and then has the coordinator delete them.
func (g *Groups) DeleteGroups(ctx context.Context, req *kmsg.DeleteGroupsRequest) wire.Reply {
	return wire.Reply{Later: func() kmsg.Response {
		resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
		resp.Groups = []kmsg.DeleteGroupsResponseGroup{}
		for _, id := range req.Groups {
			a := kmsg.NewDeleteGroupsResponseGroup()
			a.Group = id
			if err := g.deleteGroup(ctx, id); err != nil {
				a.ErrorCode, a.ErrorMessage = wire.Code(err), kmsg.StringPtr(err.Error())
			}
			resp.Groups = append(resp.Groups, a)
		}
		return resp
	}}
}

func (g *Groups) deleteGroup(ctx context.Context, id string) error {
	s, err := g.loaded(ctx, id)
	if err != nil {
		return err
	}
	exists := false
	pending, err := s.write(ctx, id, func(f consumergroup.Facts, t *offsets.Table) ([]offsets.Record, error) {
		exists = f != nil
		if !exists && t.Has(id) {
			return tombstones(id, offsets.Places(t.Of(id))), nil
		}
		return tombstones(id, offsets.Places(t.Of(id))), consumergroup.CheckDelete(f)
	})
	if err == nil {
		err = pending.await(ctx)
	}
	if err != nil || !exists {
		return err
	}
	return s.deleteGroup(ctx, id)
}

// OffsetDelete deletes what a group has committed in some places.
func (g *Groups) OffsetDelete(ctx context.Context, req *kmsg.OffsetDeleteRequest) wire.Reply {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	resp.Topics = []kmsg.OffsetDeleteResponseTopic{}
	s, err := g.loaded(ctx, req.Group)
	if req.Group == "" { // what it has committed goes by DeleteGroups
		err = metadata.ErrInvalidGroupID
	}
	var pending *pendingCommit
	if err == nil {
		pending, err = s.write(ctx, req.Group, func(f consumergroup.Facts, t *offsets.Table) ([]offsets.Record, error) {
			return g.offsetsToDelete(req, resp, f, t)
		})
	}
	answer := func(err error) kmsg.Response {
		if err != nil {
			resp.ErrorCode, resp.Topics = wire.Code(err), []kmsg.OffsetDeleteResponseTopic{}
		}
		return resp
	}
	if err != nil || pending == nil {
		return wire.Reply{Response: answer(err)}
	}
	return wire.Reply{Later: func() kmsg.Response { return answer(pending.await(ctx)) }}
}

// offsetsToDelete answers for each partition, and says which commits are to go.
func (g *Groups) offsetsToDelete(req *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse, f consumergroup.Facts, t *offsets.Table) ([]offsets.Record, error) {
	if f != nil || !t.Has(req.Group) {
		if err := consumergroup.CheckOffsetDelete(f); err != nil {
			return nil, err
		}
	}
	var places []offsets.Place
	im := g.image()
	for _, topic := range req.Topics {
		a := kmsg.NewOffsetDeleteResponseTopic()
		a.Topic = topic.Topic
		for _, p := range topic.Partitions {
			one := kmsg.NewOffsetDeleteResponseTopicPartition()
			place := offsets.Place{Topic: topic.Topic, Partition: p.Partition}
			one.Partition, one.ErrorCode = p.Partition, wire.Code(mayDelete(im, f, place))
			if _, ok := t.Get(req.Group, place); ok && one.ErrorCode == 0 {
				places = append(places, place)
			}
			a.Partitions = append(a.Partitions, one)
		}
		resp.Topics = append(resp.Topics, a)
	}
	return tombstones(req.Group, places), nil
}

func mayDelete(im *metadata.Image, f consumergroup.Facts, p offsets.Place) error {
	topic := im.TopicByName(p.Topic)
	if topic == nil || p.Partition < 0 || int(p.Partition) >= len(topic.Partitions) {
		return fmt.Errorf("%w: %v", metadata.ErrUnknownTopicOrPartition, p)
	}
	subscribes, known := consumergroup.Subscribes(f, p.Topic)
	if f != nil && (subscribes || !known) {
		return fmt.Errorf("%w: %v", metadata.ErrGroupSubscribedToTopic, p)
	}
	return nil
}
