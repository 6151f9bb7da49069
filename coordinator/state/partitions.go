package state

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// apply carries out what a leader asks for its partitions, each by itself. Each
// change that is taken raises the partition epoch, so that no other one made from
// the same state can be taken any more: with the ISR that there is a leader settles
// what became of one that it is in doubt about.
func (c AlterPartitions) apply(w *work) {
	if _, ok := w.current(c.Broker, c.BrokerEpoch); !ok {
		return
	}
	for _, change := range c.Changes {
		w.result.Partitions = append(w.result.Partitions, c.alter(w, change))
	}
}

func (c AlterPartitions) alter(w *work, change PartitionChange) PartitionResult {
	t, res := w.find(change.TopicPartition, metadata.ErrUnknownTopicID)
	if res.Err != nil {
		return res
	}
	if err := c.refuse(w, res.State, change); err != nil {
		res.Err = fmt.Errorf("%s-%d: %w", t.Name, change.Partition, err)
		return res
	}
	w.change(t, change.Partition, w.rules(t), wish{isr: members(change.ISR), lost: metadata.NoLeader, recovered: change.Recovered, settles: true})
	res.State = w.partition(t, change.Partition)
	return res
}

// refuse returns why a change may not be made. The order is Kafka's: a leader
// learns first that it speaks to the wrong coordinator, then that it is deposed,
// then that it is behind, and only then that what it asks for is wrong.
func (c AlterPartitions) refuse(w *work, p metadata.Partition, change PartitionChange) error {
	isr := members(change.ISR)
	switch {
	case change.LeaderEpoch > p.LeaderEpoch:
		return fmt.Errorf("%w: leader epoch %d is ahead of ours, %d", metadata.ErrNotController, change.LeaderEpoch, p.LeaderEpoch)
	case change.PartitionEpoch > p.PartitionEpoch:
		return fmt.Errorf("%w: partition epoch %d is ahead of ours, %d", metadata.ErrNotController, change.PartitionEpoch, p.PartitionEpoch)
	case change.LeaderEpoch < p.LeaderEpoch:
		return fmt.Errorf("%w: %d, the current one is %d", metadata.ErrFencedLeaderEpoch, change.LeaderEpoch, p.LeaderEpoch)
	case c.Broker != p.Leader:
		return fmt.Errorf("%w: broker %d does not lead, %d does", metadata.ErrInvalidRequest, c.Broker, p.Leader)
	case change.PartitionEpoch < p.PartitionEpoch && guard.CompareAndSet.Holds():
		return fmt.Errorf("%w: %d, the current one is %d", metadata.ErrInvalidUpdateVersion, change.PartitionEpoch, p.PartitionEpoch)
	case len(isr) > len(p.Replicas):
		return fmt.Errorf("%w: an ISR of %d, there are %d replicas", metadata.ErrInvalidRequest, len(isr), len(p.Replicas))
	case !distinct(isr) || len(without(isr, p.Replicas)) > 0:
		return fmt.Errorf("%w: ISR %v is no set of replicas of %v", metadata.ErrInvalidRequest, isr, p.Replicas)
	case !slices.Contains(isr, p.Leader):
		return fmt.Errorf("%w: ISR %v is without the leader, %d", metadata.ErrInvalidRequest, isr, p.Leader)
	case !change.Recovered && len(isr) > 1:
		return fmt.Errorf("%w: ISR %v while the leader recovers from an unclean election", metadata.ErrInvalidRequest, isr)
	case !change.Recovered && !p.Recovering:
		return fmt.Errorf("%w: a leader that has recovered cannot go back", metadata.ErrInvalidRequest)
	}
	for _, m := range change.ISR {
		if why := w.ineligible(m); why != "" {
			return fmt.Errorf("%w: broker %d %s", metadata.ErrIneligibleReplica, m.Broker, why)
		}
	}
	return nil
}

// ineligible says why a broker may not be in an ISR, "" if it may. The leader names
// the epoch under which the broker fetched up to the end of the log: a broker that
// has registered anew since may have lost it (KIP-903).
func (w *work) ineligible(m ISRMember) string {
	b, known := w.image.Broker(m.Broker)
	switch {
	case !known:
		return "is not registered"
	case b.ShuttingDown:
		return "is shutting down"
	case b.Fenced:
		return "is fenced"
	case m.Epoch != -1 && m.Epoch != b.Epoch && guard.BrokerEpoch.Holds():
		return fmt.Sprintf("has epoch %d, not %d", b.Epoch, m.Epoch)
	}
	return ""
}

// apply holds the elections that somebody asked for. Of all partitions, those that
// need none are not told of.
func (c ElectLeaders) apply(w *work) {
	for _, tp := range c.Partitions {
		w.result.Partitions = append(w.result.Partitions, c.elect(w, tp))
	}
	if c.Partitions != nil {
		return
	}
	for _, t := range w.image.Topics() {
		for i := range t.Partitions {
			if c.needed(t.Partitions[i]) {
				w.result.Partitions = append(w.result.Partitions, c.elect(w, metadata.TopicPartition{Topic: t.ID, Partition: int32(i)}))
			}
		}
	}
}

// needed: preferred elections are about who leads, unclean ones about whether anybody does.
func (c ElectLeaders) needed(p metadata.Partition) bool {
	if c.Unclean {
		return p.Leader == metadata.NoLeader
	}
	return len(p.Replicas) > 0 && p.Leader != p.Replicas[0]
}

func (c ElectLeaders) elect(w *work, tp metadata.TopicPartition) PartitionResult {
	t, res := w.find(tp, metadata.ErrUnknownTopicOrPartition)
	if res.Err != nil {
		return res
	}
	if !c.needed(res.State) {
		res.Err = fmt.Errorf("%w: %s-%d is led by broker %d", metadata.ErrElectionNotNeeded, t.Name, tp.Partition, res.State.Leader)
		return res
	}
	a := keep(res.State)
	a.preferred, a.unclean = !c.Unclean, c.Unclean
	switch elected := w.change(t, tp.Partition, w.rules(t), a); {
	case elected:
		res.State = w.partition(t, tp.Partition)
	case c.Unclean:
		res.Err = fmt.Errorf("%w: no replica of %s-%d, %v, is live", metadata.ErrEligibleLeadersNotAvailable, t.Name, tp.Partition, res.State.Replicas)
	default:
		res.Err = fmt.Errorf("%w: broker %d is not in the ISR of %s-%d, %v",
			metadata.ErrPreferredLeaderNotAvailable, res.State.Replicas[0], t.Name, tp.Partition, res.State.ISR)
	}
	return res
}

// find returns a partition's topic, and the result to fill: with its state, or
// with the error that it does not exist.
func (w *work) find(tp metadata.TopicPartition, noTopic error) (*metadata.Topic, PartitionResult) {
	res := PartitionResult{ID: tp}
	t := w.image.TopicByID(tp.Topic)
	if t == nil {
		res.Err = fmt.Errorf("%w: %v", noTopic, tp.Topic)
		return nil, res
	}
	res.Topic = t.Name
	if tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		res.Err = fmt.Errorf("%w: %s-%d", metadata.ErrUnknownTopicOrPartition, t.Name, tp.Partition)
		return t, res
	}
	res.State = w.partition(t, tp.Partition)
	return t, res
}

func members(isr []ISRMember) []int32 {
	ids := make([]int32, len(isr))
	for i, m := range isr {
		ids[i] = m.Broker
	}
	return ids
}

func distinct(ids []int32) bool {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return false
		}
	}
	return true
}
