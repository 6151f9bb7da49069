package groups

// OffsetCommit (key 8), versions 2 to 10. A commit is let in by what this broker has
// replayed of the group's facts: it names a current member and its generation, or nobody
// while the group is empty. It is appended while the request is handled, which fixes its
// order; the answer waits, in Reply.Later, until the in-sync replicas have it.
//
// Each partition is judged by itself (does it exist, is the note too long), the group as a
// whole. Left out: authorization; the member epochs of version 9 are generations here.
//
// Versions: 2 to 4 when the offsets are to expire; 6 leader epochs; 7 static members (KIP-345); 8
// flexible; 9 GROUP_ID_NOT_FOUND for a group that is not there, before: ILLEGAL_GENERATION; 10
// topics by id.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// OffsetCommit lets a commit in or refuses it, and answers when it is committed in its log.
func (g *Groups) OffsetCommit(ctx context.Context, r *wire.Request, req *kmsg.OffsetCommitRequest) wire.Reply {
	errs, records := g.commitRecords(req)
	if len(records) == 0 {
		return wire.Reply{Response: offsetCommitResponse(req, errs, nil)}
	}
	pending, err := g.commit(ctx, req, records)
	if err != nil || pending == nil {
		return wire.Reply{Response: offsetCommitResponse(req, errs, err)}
	}
	return wire.Reply{Later: func() kmsg.Response { return offsetCommitResponse(req, errs, pending.await(ctx)) }}
}

// commitRecords makes a record of each partition that may have one, and errors, in the
// order of the request, of the others.
func (g *Groups) commitRecords(req *kmsg.OffsetCommitRequest) (errs []error, records []offsets.Record) {
	im, now := g.image(), time.Now().UnixMilli()
	expires := int64(-1)
	if req.Version <= 4 && req.RetentionTimeMillis >= 0 {
		expires = now + req.RetentionTimeMillis
	}
	for _, t := range req.Topics {
		topic, err := im.FindTopic(t.TopicID, t.Topic, req.Version >= 10)
		for _, p := range t.Partitions {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			c := offsets.Commit{Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, TopicID: topic.ID, At: now, Expires: expires}
			if p.Metadata != nil {
				c.Metadata = *p.Metadata
			}
			err := g.checkCommit(topic, p.Partition, c)
			errs = append(errs, err)
			if err == nil {
				records = append(records, offsets.Record{
					Group: req.Group, Place: offsets.Place{Topic: topic.Name, Partition: p.Partition}, Commit: &c,
				})
			}
		}
	}
	return errs, records
}

func (g *Groups) checkCommit(topic *metadata.Topic, partition int32, c offsets.Commit) error {
	if partition < 0 || int(partition) >= len(topic.Partitions) {
		return fmt.Errorf("%w: %s-%d", metadata.ErrUnknownTopicOrPartition, topic.Name, partition)
	}
	if most := g.cfg.Config.OffsetMetadataMaxBytes; len(c.Metadata) > most {
		return fmt.Errorf("%w: %d bytes, %d are allowed", metadata.ErrOffsetMetadataTooLarge, len(c.Metadata), most)
	}
	return nil
}

// commit appends what a member, or nobody, may commit.
func (g *Groups) commit(ctx context.Context, req *kmsg.OffsetCommitRequest, records []offsets.Record) (*pendingCommit, error) {
	s, err := g.loaded(ctx, req.Group)
	if err != nil {
		return nil, err
	}
	who := consumergroup.Commit{MemberID: req.MemberID, Generation: req.Generation}
	if req.InstanceID != nil {
		who.Instance = *req.InstanceID
	}
	m := member{req.Group, req.MemberID}
	var session time.Duration
	pending, err := s.write(ctx, req.Group, func(f consumergroup.Facts, _ *offsets.Table) ([]offsets.Record, error) {
		session = consumergroup.SessionTimeout(f, req.MemberID)
		err := consumergroup.CheckCommit(f, who)
		beat := heartbeatOf(req.MemberID, req.InstanceID, req.Generation)
		if err == nil && consumergroup.CheckHeartbeat(f, beat) == nil { // else it may, but hears elsewhere that it has to rejoin
			now := time.Now()
			s.promises.make(m, req.InstanceID, req.Generation, now.Add(consumergroup.Grace(f, req.MemberID)), now)
		}
		return records, err
	})
	switch {
	case err == nil && session > 0:
		g.alive.note(sign{m, s, req.InstanceID, req.Generation}, session, time.Now())
	case errors.Is(err, metadata.ErrGroupIDNotFound) && req.Version < 9:
		err = fmt.Errorf("%w: %w", metadata.ErrIllegalGeneration, err)
	}
	return pending, err
}

// offsetCommitResponse answers for each partition: its own error, or else the group's.
func offsetCommitResponse(req *kmsg.OffsetCommitRequest, errs []error, err error) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	resp.Topics = []kmsg.OffsetCommitResponseTopic{}
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			a := kmsg.NewOffsetCommitResponseTopicPartition()
			a.Partition, a.ErrorCode = p.Partition, wire.Code(err)
			if errs[0] != nil {
				a.ErrorCode = wire.Code(errs[0])
			}
			errs = errs[1:]
			topic.Partitions = append(topic.Partitions, a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
