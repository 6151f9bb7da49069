package coordinator

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// DescribeQuorum (55), versions 0 to 2: who votes, who is active, in which term.
// Left out: how far the other nodes have come, which Raft keeps to itself (-1).

func (a *active) describeQuorum(req *kmsg.DescribeQuorumRequest) kmsg.Response {
	_, newest := a.n.history.latest()
	if err := a.n.verify(a.ctx); err != nil {
		return wire.ErrorAnswer(req, wire.Code(err))
	}
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewDescribeQuorumResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewDescribeQuorumResponseTopicPartition()
			rp.Partition = p.Partition
			if t.Topic != metadataTopic || p.Partition != 0 {
				rp.ErrorCode = wire.Code(metadata.ErrUnknownTopicOrPartition)
			} else {
				a.quorumState(newest, &rp)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (a *active) quorumState(newest int64, rp *kmsg.DescribeQuorumResponseTopicPartition) {
	rp.LeaderID, rp.LeaderEpoch, rp.HighWatermark = a.n.cfg.ID, int32(a.term), newest+1
	for _, p := range a.n.cfg.Peers {
		v := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		v.ReplicaID, v.LogEndOffset = p.ID, -1
		if p.ID == a.n.cfg.ID {
			now := time.Now().UnixMilli()
			v.LogEndOffset, v.LastFetchTimestamp, v.LastCaughtUpTimestamp = newest+1, now, now
		}
		rp.CurrentVoters = append(rp.CurrentVoters, v)
	}
}
