package broker

// DeleteRecords (key 21), versions 0 to 2 (KIP-107): the log of each partition is to
// start at an offset, -1 being the high watermark.
//
// The leader moves its own start while the request is handled, and its disk
// remembers it. The answer then waits, in Reply.Later, until all replicas have
// followed: every one that is alive, and every one in the ELR, which could be
// elected without having heard of it. (Kafka waits for the living only.) What was
// answered without an error stays deleted, whoever dies, loses power or leads next;
// with REQUEST_TIMED_OUT it may come about later. The low watermark in an error's
// answer is -1.
//
// A partition that is named more than once is looked at once, with the last offset,
// as in Kafka. Left out: authorization.
//
// Versions: 2 flexible.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// maxDeleteRecordsWait bounds the timeout that a client may ask for.
const maxDeleteRecordsWait = 5 * time.Minute

// deletion is one partition of a DeleteRecords request and what became of it.
type deletion struct {
	topicPartition
	offset  int64
	replica *replication.Replica
	deleted replication.Deleted
	low     int64 // watermark
	err     error
}

// deleteRecords deletes at once, and answers when the replicas have followed.
func (b *Broker) deleteRecords(ctx context.Context, req *kmsg.DeleteRecordsRequest) wire.Reply {
	deadline := time.Now().Add(min(max(0, time.Duration(req.TimeoutMillis)*time.Millisecond), maxDeleteRecordsWait))
	deletions := deletionsOf(req)
	im, waiting := b.image(), false
	for i := range deletions {
		d := &deletions[i]
		b.deleteLocally(ctx, im, d)
		waiting = waiting || d.err == nil
	}
	if !waiting {
		return wire.Reply{Response: deleteRecordsResponse(req, deletions)}
	}
	if err := b.replicas.Keep(); err != nil {
		for i := range deletions {
			if d := &deletions[i]; d.err == nil {
				d.err = fmt.Errorf("%w: %w", metadata.ErrStorage, err)
			}
		}
	}
	return wire.Reply{Later: func() kmsg.Response {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		for i := range deletions {
			if d := &deletions[i]; d.err == nil {
				d.low, d.err = d.replica.AwaitLowWatermark(ctx, d.deleted)
			}
		}
		return deleteRecordsResponse(req, deletions)
	}}
}

// deletionsOf lists each partition of a request once.
func deletionsOf(req *kmsg.DeleteRecordsRequest) []deletion {
	var all []deletion
	at := map[topicPartition]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			tp := topicPartition{t.Topic, p.Partition}
			if i, again := at[tp]; again {
				all[i].offset = p.Offset
				continue
			}
			at[tp] = len(all)
			all = append(all, deletion{topicPartition: tp, offset: p.Offset})
		}
	}
	return all
}

// deleteLocally moves the start of the leader's log.
func (b *Broker) deleteLocally(ctx context.Context, im *metadata.Image, d *deletion) {
	d.replica, _, d.err = b.hosted(im, byName(d.topic), d.partition)
	switch {
	case metadata.InternalTopic(d.topic) && !errors.Is(d.err, metadata.ErrUnknownTopicOrPartition):
		d.err = fmt.Errorf("%w: %s is the cluster's own", metadata.ErrInvalidTopic, d.topic)
	case d.err == nil:
		d.deleted, d.err = d.replica.DeleteRecords(ctx, d.offset)
	}
}

func deleteRecordsResponse(req *kmsg.DeleteRecordsRequest, deletions []deletion) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	at := map[string]int{}
	for _, d := range deletions {
		i, there := at[d.topic]
		if !there {
			i = len(resp.Topics)
			at[d.topic] = i
			t := kmsg.NewDeleteRecordsResponseTopic()
			t.Topic = d.topic
			resp.Topics = append(resp.Topics, t)
		}
		p := kmsg.NewDeleteRecordsResponseTopicPartition()
		p.Partition, p.LowWatermark, p.ErrorCode = d.partition, d.low, wire.Code(d.err)
		if d.err != nil {
			p.LowWatermark = -1
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, p)
	}
	return resp
}
