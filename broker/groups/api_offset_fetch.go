package groups

// OffsetFetch (key 9), versions 1 to 10: what a group has committed, in the partitions that are
// named or in all. What is shown is committed by the in-sync replicas: the answer waits for the
// newest commit that it shows. A partition without a commit has offset -1 and no error; a
// commit of a topic that was deleted meanwhile is none.
//
// Left out: authorization; transactions, so all offsets are stable (RequireStable); the
// member epochs of version 9.
//
// Versions: 2 null asks for all, an error for the group; 5 leader epochs; 6 flexible; 8 several
// groups (KIP-709); 10 topics by id.

import (
	"cmp"
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// OffsetFetch shows what groups have committed; COORDINATOR_NOT_AVAILABLE if another broker may be the
// groups' by now.
func (g *Groups) OffsetFetch(ctx context.Context, req *kmsg.OffsetFetchRequest) wire.Reply {
	if req.Version < 8 {
		return wire.Reply{Later: func() kmsg.Response { return g.fetchOffsetsOfOne(ctx, req) }}
	}
	return wire.Reply{Later: func() kmsg.Response {
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		resp.Groups = []kmsg.OffsetFetchResponseGroup{}
		for _, ask := range req.Groups {
			resp.Groups = append(resp.Groups, g.fetchOffsets(ctx, ask, req.Version))
		}
		return resp
	}}
}

// fetchOffsetsOfOne answers in the words of before version 8.
func (g *Groups) fetchOffsetsOfOne(ctx context.Context, req *kmsg.OffsetFetchRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	resp.Topics = []kmsg.OffsetFetchResponseTopic{}
	ask := kmsg.NewOffsetFetchRequestGroup()
	ask.Group = req.Group
	if req.Topics != nil || req.Version < 2 {
		ask.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, t := range req.Topics {
		ask.Topics = append(ask.Topics, kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions})
	}
	a := g.fetchOffsets(ctx, ask, req.Version)
	resp.ErrorCode = a.ErrorCode
	if a.ErrorCode != 0 && req.Version < 2 { // there is no other place for it
		a.Topics = failedTopics(ask.Topics, a.ErrorCode)
	}
	for _, t := range a.Topics {
		topic := kmsg.NewOffsetFetchResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseTopicPartition(p))
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// failedTopics says of each partition that is asked for that it cannot be told.
func failedTopics(ask []kmsg.OffsetFetchRequestGroupTopic, code int16) (topics []kmsg.OffsetFetchResponseGroupTopic) {
	for _, t := range ask {
		topic := kmsg.NewOffsetFetchResponseGroupTopic()
		topic.Topic = t.Topic
		for _, n := range t.Partitions {
			topic.Partitions = append(topic.Partitions, uncommitted(n, code))
		}
		topics = append(topics, topic)
	}
	return topics
}

// uncommitted answers for a partition of which nothing is committed, or can be told.
func uncommitted(partition int32, code int16) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = partition, -1, -1, kmsg.StringPtr(""), code
	return p
}

// fetchOffsets answers for one group.
func (g *Groups) fetchOffsets(ctx context.Context, ask kmsg.OffsetFetchRequestGroup, version int16) kmsg.OffsetFetchResponseGroup {
	a := kmsg.NewOffsetFetchResponseGroup()
	a.Group, a.Topics = ask.Group, []kmsg.OffsetFetchResponseGroupTopic{}
	commits, err := g.committedOffsets(ctx, ask.Group)
	if err != nil {
		a.ErrorCode = wire.Code(err)
		return a
	}
	if ask.Topics == nil {
		ask.Topics = topicsOf(commits, g.image())
	}
	for _, t := range ask.Topics {
		a.Topics = append(a.Topics, g.fetchedTopic(t, commits, version >= 10))
	}
	return a
}

func (g *Groups) committedOffsets(ctx context.Context, group string) (map[offsets.Place]offsets.Commit, error) {
	s, err := g.loaded(ctx, group)
	if err != nil {
		return nil, err
	}
	commits, err := s.committed(ctx, group)
	return commits, cmp.Or(err, g.speaks(time.Now()))
}

// topicsOf asks for all that a group has committed.
func topicsOf(commits map[offsets.Place]offsets.Commit, im *metadata.Image) (topics []kmsg.OffsetFetchRequestGroupTopic) {
	for _, p := range offsets.Places(commits) {
		if n := len(topics); n == 0 || topics[n-1].Topic != p.Topic {
			t := kmsg.NewOffsetFetchRequestGroupTopic()
			t.Topic = p.Topic
			if known := im.TopicByName(p.Topic); known != nil {
				t.TopicID = known.ID
			}
			topics = append(topics, t)
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return topics
}

func (g *Groups) fetchedTopic(ask kmsg.OffsetFetchRequestGroupTopic, commits map[offsets.Place]offsets.Commit, byID bool) kmsg.OffsetFetchResponseGroupTopic {
	topic := kmsg.NewOffsetFetchResponseGroupTopic()
	topic.Topic, topic.TopicID = ask.Topic, ask.TopicID
	name, code := ask.Topic, int16(0)
	if byID {
		known, err := g.image().FindTopic(ask.TopicID, "", true)
		if code = wire.Code(err); err == nil {
			name = known.Name
		}
	}
	for _, n := range ask.Partitions {
		p := uncommitted(n, code)
		if c, ok := commits[offsets.Place{Topic: name, Partition: n}]; ok && code == 0 {
			p.Offset, p.LeaderEpoch, p.Metadata = c.Offset, c.LeaderEpoch, &c.Metadata
		}
		topic.Partitions = append(topic.Partitions, p)
	}
	return topic
}
