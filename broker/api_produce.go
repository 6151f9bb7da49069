package broker

// Produce (key 0), versions 3 to 13; ApiVersions says 0 to 13, see versions.go.
//
// Each partition's batch is appended while the request is handled, which fixes
// the order; with acks=all the answer then waits, in Reply.Later, until the high
// watermark has passed the batch, and the connection's next request begins
// meanwhile. acks=1 is answered after the append; if that owes a sync
// (flush.messages) it waits for it in the same way, so that one sync can serve
// what follows, too. acks=0 gets no answer, and an error closes the connection,
// which is all that such a producer can notice.
//
// Left out: transactions (a transactional id or a transactional batch is refused
// with TRANSACTIONAL_ID_AUTHORIZATION_FAILED), quotas.
//
// Versions: 3 record batches of format 2 only, exactly one for each partition;
// 7 zstd; 8 error messages, and which record was bad; 9 flexible; 10 the leader's address beside
// NOT_LEADER_OR_FOLLOWER (KIP-951); 12 transactions of KIP-890, nothing here; 13
// topics by id instead of by name.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// maxProduceWait bounds the timeout that a producer may ask for.
const maxProduceWait = 5 * time.Minute

// produced is one partition of a produce request and what became of it.
type produced struct {
	ref       topicRef
	partition int32
	tp        metadata.TopicPartition
	replica   *replication.Replica
	appended  replication.Appended
	err       error
}

// produce appends each batch and answers when the asked-for replicas have it.
// The batches alias the request, and none is used after this returns.
func (b *Broker) produce(ctx context.Context, r *wire.Request, req *kmsg.ProduceRequest) wire.Reply {
	if code := checkProduce(req); code != 0 {
		return refusal(r, code)
	}
	deadline := time.Now().Add(min(max(0, time.Duration(req.TimeoutMillis)*time.Millisecond), maxProduceWait))
	results, appended, failed := b.appendAll(ctx, req)
	synced := awaitSynced(results)
	switch {
	case req.Acks == 0 && synced == nil:
		return wire.Reply{None: true, Close: failed}
	case req.Acks == 0:
		return wire.Reply{None: true, Close: failed, Later: func() kmsg.Response { synced(); return nil }}
	case !appended || req.Acks == 1 && synced == nil:
		return wire.Reply{Response: b.produceResponse(r, req, results)}
	case synced == nil && settled(results):
		return wire.Reply{Response: b.produceResponse(r, req, results)}
	}
	return wire.Reply{Later: func() kmsg.Response {
		if synced != nil {
			synced()
		}
		if req.Acks != 1 {
			awaitCommitted(ctx, results, deadline)
		}
		return b.produceResponse(r, req, results)
	}}
}

// awaitSynced begins to wait for the syncs that are owed, each in a goroutine,
// since whoever waits may be the one who does it: that must not wait until the
// connection's earlier requests are answered. The function that it returns joins
// them; nil if no sync is owed.
func awaitSynced(results []produced) (join func()) {
	var waits *sync.WaitGroup
	for i := range results {
		p := &results[i]
		if p.err != nil || !p.appended.SyncOwed() {
			continue
		}
		if waits == nil {
			waits = new(sync.WaitGroup)
			join = waits.Wait
		}
		waits.Go(func() { p.err = p.replica.AwaitSynced(p.appended) })
	}
	return join
}

// settled reports whether there is nothing to wait for. Then results say how it ended.
func settled(results []produced) bool {
	for i := range results {
		p := &results[i]
		if p.err != nil {
			continue
		}
		var ended bool
		if ended, p.err = p.replica.Settled(p.appended); !ended {
			return false
		}
	}
	return true
}

// awaitCommitted waits until the asked-for replicas have what was appended.
func awaitCommitted(ctx context.Context, results []produced, deadline time.Time) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if len(results) > 1 {
		tally := replication.NewTally()
		for i := range results {
			if p := &results[i]; p.err == nil {
				tally.Count(p.replica, p.appended)
			}
		}
		tally.Wait(ctx)
	}
	for i := range results {
		if p := &results[i]; p.err == nil {
			p.err = p.replica.AwaitCommitted(ctx, p.appended)
		}
	}
}

// checkProduce is what must hold of the request as a whole; 0 if it does.
func checkProduce(req *kmsg.ProduceRequest) int16 {
	switch {
	case req.TransactionID != nil:
		return kerr.TransactionalIDAuthorizationFailed.Code
	case req.Acks < -1 || req.Acks > 1:
		return kerr.InvalidRequiredAcks.Code
	}
	return 0
}

// appendAll appends every batch of req. It reports whether one was appended, so
// that there is something to wait for, and whether one failed.
func (b *Broker) appendAll(ctx context.Context, req *kmsg.ProduceRequest) (results []produced, appended, failed bool) {
	im, now := b.image(), time.Now()
	for _, t := range req.Topics {
		ref := topicRef{t.TopicID, t.Topic, req.Version >= 13}
		for _, p := range t.Partitions {
			one := produced{ref: ref, partition: p.Partition}
			one.replica, one.tp, one.err = b.hosted(im, ref, p.Partition)
			if one.err == nil && metadata.InternalTopic(one.replica.Topic()) {
				one.err = fmt.Errorf("%w: %s is the cluster's own", metadata.ErrInvalidTopic, one.replica.Topic())
			}
			if one.err == nil {
				one.err = checkBatch(p.Records, req.Version)
			}
			if one.err == nil {
				one.appended, one.err = one.replica.Append(ctx, p.Records, req.Acks, now)
			}
			appended = appended || one.err == nil
			failed = failed || one.err != nil
			results = append(results, one)
		}
	}
	return results, appended, failed
}

// Where the attributes are in a record batch, and what two of them mean.
const (
	attributesAt       = 21
	codecMask          = 0x07
	zstdCodec          = 4
	transactionalBatch = 0x10
)

// checkBatch is what the version of the request says about a batch; the log
// checks all the rest.
func checkBatch(batch []byte, version int16) error {
	if len(batch) == 0 {
		return fmt.Errorf("%w: no record batch", metadata.ErrInvalidRecord)
	}
	if len(batch) < attributesAt+2 {
		return nil
	}
	attributes := binary.BigEndian.Uint16(batch[attributesAt:])
	switch {
	case attributes&transactionalBatch != 0:
		return fmt.Errorf("%w: there are no transactions here", metadata.ErrTransactionalIDAuthorizationFailed)
	case attributes&codecMask == zstdCodec && version < 7:
		return fmt.Errorf("%w: zstd needs version 7 of Produce", metadata.ErrUnsupportedCompressionType)
	}
	return nil
}

func (b *Broker) produceResponse(r *wire.Request, req *kmsg.ProduceRequest, results []produced) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	hints := b.leaderHints(r)
	for _, t := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for range t.Partitions {
			topic.Partitions = append(topic.Partitions, results[0].answer(&hints, req.Version))
			results = results[1:]
		}
		resp.Topics = append(resp.Topics, topic)
	}
	for _, n := range hints.nodes {
		node := kmsg.NewProduceResponseBroker()
		node.NodeID, node.Host, node.Port, node.Rack = n.id, n.endpoint.Host, n.endpoint.Port, n.rack
		resp.Brokers = append(resp.Brokers, node)
	}
	return resp
}

// answer is the partition's place in the response.
func (p *produced) answer(hints *leaderHints, version int16) kmsg.ProduceResponseTopicPartition {
	a := kmsg.NewProduceResponseTopicPartition()
	a.Partition = p.partition
	if p.err == nil {
		a.BaseOffset = p.appended.BaseOffset
		a.LogAppendTime = p.appended.Timestamp
		a.LogStartOffset = p.appended.LogStartOffset
		return a
	}
	a.ErrorCode, a.BaseOffset = wire.Code(p.err), -1
	message := p.err.Error()
	a.ErrorMessage = &message
	if bad, ok := errors.AsType[*partition.RecordError](p.err); ok {
		a.ErrorRecords = []kmsg.ProduceResponseTopicPartitionErrorRecord{{RelativeOffset: int32(bad.Index), ErrorMessage: &bad.Why}}
	}
	if version >= 10 && hints.wanted(a.ErrorCode) {
		a.CurrentLeader.LeaderID, a.CurrentLeader.LeaderEpoch = hints.leader(p.tp)
	}
	return a
}
