package coordinator

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// Fetch (1), versions 12 to 18, of partition 0 of __cluster_metadata and nothing
// else: how brokers follow the metadata log, by long poll. Every node answers with
// what it knows to be committed; see doc.go. Left out: fetch sessions (the answer's
// session id is 0) and MinBytes (any news is enough).

// The metadata log's name, and its topic id, which Kafka reserves.
const metadataTopic = "__cluster_metadata"

var metadataTopicID = metadata.UUID{15: 1}

// maxFetchWait bounds a long poll.
const maxFetchWait = time.Minute

func (n *Node) fetch(ctx context.Context, req *kmsg.FetchRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	if req.ClusterID != nil && *req.ClusterID != n.cfg.ClusterID {
		resp.ErrorCode = wire.Code(metadata.ErrInconsistentClusterID)
		return resp
	}
	patience := min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxFetchWait)
	for _, t := range req.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		known := t.Topic == metadataTopic
		unknown := metadata.ErrUnknownTopicOrPartition
		if req.Version >= 13 {
			known, unknown = t.TopicID == metadataTopicID, metadata.ErrUnknownTopicID
		}
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.RecordBatches = p.Partition, []byte{}
			switch {
			case !known:
				rp.ErrorCode = wire.Code(unknown)
			case p.Partition != 0:
				rp.ErrorCode = wire.Code(metadata.ErrUnknownTopicOrPartition)
			default:
				n.fetchPartition(ctx, p, &rp, int(req.MaxBytes), patience)
				patience = 0 // spent
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (n *Node) fetchPartition(ctx context.Context, p kmsg.FetchRequestTopicPartition, rp *kmsg.FetchResponseTopicPartition, limit int, patience time.Duration) {
	if p.FetchOffset < 0 {
		rp.ErrorCode = wire.Code(metadata.ErrOffsetOutOfRange)
		return
	}
	r := n.await(ctx, p.FetchOffset, min(limit, int(p.PartitionMaxBytes)), patience)
	rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = r.end, r.end, r.start
	rp.CurrentLeader.LeaderID, rp.CurrentLeader.LeaderEpoch = n.currentLeader()
	if r.behind {
		s := n.history.snapshot()
		rp.SnapshotID.EndOffset, rp.SnapshotID.Epoch = s.end, s.term
		return
	}
	rp.RecordBatches = append(rp.RecordBatches, r.batches...)
}

// await reads from an offset on, once there is something to read, another node
// leads, or the wait is over.
func (n *Node) await(ctx context.Context, from int64, limit int, patience time.Duration) reading {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	leader, _ := n.quorum.leader()
	for {
		r := n.history.read(from, limit)
		if now, _ := n.quorum.leader(); r.behind || len(r.batches) > 0 || now != leader {
			return r
		}
		select {
		case <-r.news:
		case <-timer.C:
			return r
		case <-ctx.Done():
			return r
		case <-n.ctx.Done():
			return r
		}
	}
}

// currentLeader is what the answer says of the active coordinator: a node that
// brokers had better follow, because the others learn late what is committed.
func (n *Node) currentLeader() (id, epoch int32) {
	id, _ = n.quorum.leader()
	if id == noNode {
		return noNode, -1
	}
	return id, int32(n.raft.Load().CurrentTerm())
}
