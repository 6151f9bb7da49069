package broker

// OffsetForLeaderEpoch (key 23), versions 2 to 4: where a leader epoch ends in the
// leader's log (KIP-101, KIP-320). Clients ask after a change of leader whether
// what they have read was truncated. Brokers of this cluster learn it from Fetch.
//
// Left out: nothing. Versions: 3 the asker's replica id, which changes no answer
// here; 4 flexible.

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

func (b *Broker) offsetForLeaderEpoch(req *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	im := b.image()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			a := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			a.Partition = p.Partition
			r, _, err := b.hosted(im, byName(t.Topic), p.Partition)
			if err == nil {
				end, e := r.EndOffsetForEpoch(p.CurrentLeaderEpoch, p.LeaderEpoch)
				if err = e; err == nil {
					a.LeaderEpoch, a.EndOffset = end.Epoch, end.Offset
				}
			}
			a.ErrorCode = wire.Code(err)
			topic.Partitions = append(topic.Partitions, a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
