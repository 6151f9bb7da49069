package coordinator

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// AlterPartition (56), versions 2 and 3: a leader proposes new in-sync replicas
// for its partitions, each on top of one partition epoch. An answer without error
// says what the coordinator decided and under which partition epoch; the leader
// believes it only when the metadata log tells it. Version 2 knows no broker
// epochs of the replicas, which is as in Kafka.

func (a *active) alterPartition(req *kmsg.AlterPartitionRequest) kmsg.Response {
	cmd := state.AlterPartitions{Broker: req.BrokerID, BrokerEpoch: req.BrokerEpoch}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			cmd.Changes = append(cmd.Changes, state.PartitionChange{
				TopicPartition: metadata.TopicPartition{Topic: t.TopicID, Partition: p.Partition},
				LeaderEpoch:    p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
				ISR: proposedISR(req.Version, p), Recovered: p.LeaderRecoveryState == 0,
			})
		}
	}
	result, err := a.n.propose(a.ctx, cmd)
	if err != nil {
		return wire.ErrorAnswer(req, wire.Code(err))
	}
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	at := 0
	for _, t := range req.Topics {
		rt := kmsg.NewAlterPartitionResponseTopic()
		rt.TopidID = t.TopicID
		for range t.Partitions {
			if at < len(result.Partitions) {
				rt.Partitions = append(rt.Partitions, alteredPartition(result.Partitions[at]))
			}
			at++
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func proposedISR(version int16, p kmsg.AlterPartitionRequestTopicPartition) []state.ISRMember {
	var isr []state.ISRMember
	if version < 3 {
		for _, id := range p.NewISR {
			isr = append(isr, state.ISRMember{Broker: id, Epoch: -1})
		}
		return isr
	}
	for _, m := range p.NewEpochISR {
		isr = append(isr, state.ISRMember{Broker: m.BrokerID, Epoch: m.BrokerEpoch})
	}
	return isr
}

func alteredPartition(r state.PartitionResult) kmsg.AlterPartitionResponseTopicPartition {
	p := kmsg.NewAlterPartitionResponseTopicPartition()
	p.Partition, p.ErrorCode = r.ID.Partition, wire.Code(r.Err)
	if r.Err != nil {
		return p
	}
	p.LeaderID, p.LeaderEpoch, p.PartitionEpoch = r.State.Leader, r.State.LeaderEpoch, r.State.PartitionEpoch
	p.ISR = append([]int32{}, r.State.ISR...)
	if r.State.Recovering {
		p.LeaderRecoveryState = 1
	}
	return p
}
