package state

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// checkImage returns what must never be true of a state.
func checkImage(s *State) error {
	im := s.Image()
	epochs := map[int64]int32{}
	for _, b := range im.Brokers() {
		if other, taken := epochs[b.Epoch]; taken {
			return fmt.Errorf("brokers %d and %d share epoch %d", other, b.ID, b.Epoch)
		}
		epochs[b.Epoch] = b.ID
		if b.UnfencedEpoch > b.Epoch || b.Epoch > im.Offset() {
			return fmt.Errorf("broker %d: epochs from the future: %+v at %d", b.ID, b, im.Offset())
		}
	}
	for _, t := range im.Topics() {
		min := s.defaults.Topic(t.Configs).MinInsyncReplicas
		for i, p := range t.Partitions {
			if err := checkPartition(im, p, metadata.EffectiveMinISR(min, len(p.Replicas))); err != nil {
				return fmt.Errorf("%s-%d %s: %w", t.Name, i, describe(p), err)
			}
		}
	}
	return nil
}

func checkPartition(im *metadata.Image, p metadata.Partition, minISR int) error {
	if len(without(p.ISR, p.Replicas)) > 0 || len(without(p.ELR, p.Replicas)) > 0 {
		return fmt.Errorf("ISR or ELR is not among the replicas")
	}
	if !distinct(p.Replicas) || !distinct(p.ISR) || !distinct(p.ELR) {
		return fmt.Errorf("a broker is listed twice")
	}
	for _, id := range p.ISR {
		if b, ok := im.Broker(id); !ok || !b.Active() {
			return fmt.Errorf("broker %d is in the ISR though it is fenced or shutting down", id)
		}
		if slices.Contains(p.ELR, id) {
			return fmt.Errorf("broker %d is in ISR and ELR", id)
		}
	}
	if len(p.ISR) >= minISR && len(p.ELR) > 0 {
		return fmt.Errorf("an ELR though min ISR, %d, is reached", minISR)
	}
	if (p.Leader == metadata.NoLeader) != (len(p.ISR) == 0) {
		return fmt.Errorf("a leader and an ISR go together")
	}
	if p.Leader != metadata.NoLeader && !slices.Contains(p.ISR, p.Leader) {
		return fmt.Errorf("the leader is not in the ISR")
	}
	if (p.Leader == metadata.NoLeader) != (p.LastKnownLeader != metadata.NoLeader) {
		return fmt.Errorf("the last known leader is for partitions without a leader")
	}
	if p.Leader == metadata.NoLeader {
		for _, id := range p.ELR {
			if b, _ := im.Broker(id); b.Active() {
				return fmt.Errorf("no leader though broker %d is eligible and live", id)
			}
		}
	}
	return nil
}

// checkStep returns what must never be true of one command's effect.
func checkStep(s *State, before *metadata.Image, c Command, r Result) error {
	after := s.Image()
	if r.Err != nil && len(r.Deltas) > 0 {
		return fmt.Errorf("an error and deltas: %w", r.Err)
	}
	if len(r.Deltas) == 0 && after != before {
		return fmt.Errorf("a new image without deltas")
	}
	elections := map[metadata.TopicPartition]Election{}
	for _, e := range r.Elections {
		elections[e.ID] = e
	}
	for _, t := range before.Topics() {
		for i := range t.Partitions {
			id := metadata.TopicPartition{Topic: t.ID, Partition: int32(i)}
			next, ok := after.Partition(id)
			if !ok {
				continue
			}
			if reg, ok := c.(RegisterBroker); ok && r.Err == nil && !r.Clean &&
				(slices.Contains(next.ISR, reg.Broker.ID) || slices.Contains(next.ELR, reg.Broker.ID)) {
				return fmt.Errorf("%s-%d: broker %d may have lost data and is still a member", t.Name, i, reg.Broker.ID)
			}
			if err := checkTransition(s, t, t.Partitions[i], next, elections[id], c); err != nil {
				return fmt.Errorf("%s-%d: %s, then %s: %w", t.Name, i, describe(t.Partitions[i]), describe(next), err)
			}
		}
	}
	return nil
}

func checkTransition(s *State, t *metadata.Topic, old, next metadata.Partition, e Election, c Command) error {
	_, asked := c.(AlterPartitions) // which settles what it was made from, even if nothing changes
	rises := next.PartitionEpoch > old.PartitionEpoch
	if !same(old, next) && !rises || rises && same(old, next) && !asked || next.PartitionEpoch < old.PartitionEpoch {
		return fmt.Errorf("the partition epoch rises with every change, and only then")
	}
	if (old.Leader != next.Leader) != (next.LeaderEpoch > old.LeaderEpoch) || next.LeaderEpoch < old.LeaderEpoch {
		return fmt.Errorf("the leader epoch rises with every new leader, and only then")
	}
	if next.LeaderEpoch > old.LeaderEpoch && (e.Epoch != next.LeaderEpoch || e.To != next.Leader || e.Why == "") {
		return fmt.Errorf("the election is not told: %+v", e)
	}
	if next.Leader == metadata.NoLeader || next.Leader == old.Leader {
		return nil
	}
	eligible := slices.Contains(old.ISR, next.Leader) || slices.Contains(old.ELR, next.Leader)
	if !eligible && !e.Unclean {
		return fmt.Errorf("an unclean election that is not called so")
	}
	elect, asked := c.(ElectLeaders)
	allowed := s.defaults.Topic(t.Configs).UncleanLeaderElection || asked && elect.Unclean
	if !eligible && !allowed && old.LastKnownLeader != next.Leader {
		return fmt.Errorf("an unclean election that nobody allowed")
	}
	if e.Unclean && (!next.Recovering || len(next.ISR) != 1 || len(next.ELR) > 0) {
		return fmt.Errorf("an uncleanly elected leader is alone, recovering, and nobody else is eligible")
	}
	return nil
}
