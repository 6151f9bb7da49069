package coordinator

import (
	"time"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
)

// A balancer gives leadership back to preferred replicas from time to time, as
// auto.leader.rebalance.enable asks.
type balancer struct {
	a    *active
	next time.Time // zero: never
}

func (a *active) newBalancer(now time.Time) *balancer {
	b := &balancer{a: a}
	if c := a.n.cfg.Broker; c.AutoLeaderRebalance {
		b.next = now.Add(c.LeaderImbalanceCheck)
	}
	return b
}

// run looks at the balance if it is time to, and returns when to look next, or
// other if that is earlier.
func (b *balancer) run(now, other time.Time) time.Time {
	if b.next.IsZero() {
		return other
	}
	if !now.Before(b.next) {
		b.next = now.Add(b.a.n.cfg.Broker.LeaderImbalanceCheck)
		if moves := misplaced(b.a.n.Image(), b.a.n.cfg.Broker.LeaderImbalancePercent); len(moves) > 0 {
			b.a.spawn(func() {
				if _, err := b.a.n.propose(b.a.ctx, state.ElectLeaders{Partitions: moves}); err != nil {
					b.a.n.logger.Info("preferred leaders were not elected; the next check tries again", "error", err)
				}
			})
		}
	}
	if b.next.Before(other) {
		return b.next
	}
	return other
}

// misplaced returns the partitions that their preferred replica should lead and
// could, of the brokers for which they are more than percent of all that prefer them.
func misplaced(im *metadata.Image, percent int) []metadata.TopicPartition {
	preferring := map[int32]int{}
	elsewhere := map[int32][]metadata.TopicPartition{}
	for _, t := range im.Topics() {
		for i, p := range t.Partitions {
			preferred := p.Replicas[0]
			preferring[preferred]++
			if p.Leader != preferred {
				elsewhere[preferred] = append(elsewhere[preferred], metadata.TopicPartition{Topic: t.ID, Partition: int32(i)})
			}
		}
	}
	var moves []metadata.TopicPartition
	for _, b := range im.Brokers() {
		if n := len(elsewhere[b.ID]); b.Active() && n*100 > percent*preferring[b.ID] {
			moves = append(moves, elsewhere[b.ID]...)
		}
	}
	return moves
}
