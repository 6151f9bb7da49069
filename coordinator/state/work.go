package state

import (
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// work is one command being carried out: the image before it, and what has been
// changed so far.
type work struct {
	image    *metadata.Image
	defaults *metadata.BrokerConfig
	offset   int64

	live    map[int32]bool // brokers that may lead and be in an ISR
	changed map[metadata.TopicPartition]metadata.Partition
	result  Result
}

func newWork(image *metadata.Image, defaults *metadata.BrokerConfig, offset int64) *work {
	w := &work{
		image: image, defaults: defaults, offset: offset,
		live: map[int32]bool{}, changed: map[metadata.TopicPartition]metadata.Partition{},
	}
	for _, b := range image.Brokers() {
		w.live[b.ID] = b.Active()
	}
	return w
}

// setBroker replaces what is known of a broker.
func (w *work) setBroker(b metadata.Broker) {
	w.live[b.ID] = b.Active()
	w.result.Deltas = append(w.result.Deltas, metadata.BrokerRegistered{Broker: b})
}

// step replaces what is known of a broker and tells what happened to it.
func (w *work) step(b metadata.Broker, what BrokerStep, reason string) {
	w.setBroker(b)
	w.result.Brokers = append(w.result.Brokers, BrokerChange{Broker: b, What: what, Reason: reason})
}

// partition returns the newest state of a partition that exists.
func (w *work) partition(t *metadata.Topic, i int32) metadata.Partition {
	if p, ok := w.changed[metadata.TopicPartition{Topic: t.ID, Partition: i}]; ok {
		return p
	}
	return t.Partitions[i]
}

// rules returns what a topic's elections and ELR go by. The effective min ISR
// differs between partitions only if their replication factors do.
func (w *work) rules(t *metadata.Topic) rules {
	c := w.defaults.Topic(t.Configs)
	return rules{minInsyncReplicas: c.MinInsyncReplicas, unclean: c.UncleanLeaderElection, live: w.live}
}

// each asks the same of every partition for which want says so, in the order of
// topics' names and partitions' numbers.
func (w *work) each(want func(metadata.Partition) (wish, bool)) {
	for _, t := range w.image.Topics() {
		r := w.rules(t)
		for i := range t.Partitions {
			if a, ok := want(t.Partitions[i]); ok {
				w.change(t, int32(i), r, a)
			}
		}
	}
}

// change carries out a wish for one partition and reports whether that made a
// difference.
func (w *work) change(t *metadata.Topic, i int32, r rules, a wish) bool {
	id := metadata.TopicPartition{Topic: t.ID, Partition: i}
	old := w.partition(t, i)
	next, why := r.decide(old, a)
	if same(old, next) && !a.settles {
		return false
	}
	next.PartitionEpoch++
	w.changed[id] = next
	w.result.Deltas = append(w.result.Deltas, metadata.PartitionChanged{TopicPartition: id, State: next})
	if next.LeaderEpoch != old.LeaderEpoch {
		w.result.Elections = append(w.result.Elections, Election{
			ID: id, Topic: t.Name, From: old.Leader, To: next.Leader, Epoch: next.LeaderEpoch, Why: why.words, Unclean: why.unclean,
		})
	}
	left, joined := without(old.ISR, next.ISR), without(next.ISR, old.ISR)
	elr := !slices.Equal(old.ELR, next.ELR)
	if len(left) > 0 || len(joined) > 0 || elr {
		w.result.ISRs = append(w.result.ISRs, ISRChange{
			ID: id, Topic: t.Name, LeaderEpoch: next.LeaderEpoch, ISR: next.ISR, Left: left, Joined: joined, ELR: next.ELR, ELRChanged: elr,
		})
	}
	return true
}

// same compares everything but the partition epoch.
func same(a, b metadata.Partition) bool {
	return a.Leader == b.Leader && a.LeaderEpoch == b.LeaderEpoch && a.LastKnownLeader == b.LastKnownLeader &&
		a.Recovering == b.Recovering && slices.Equal(a.ISR, b.ISR) && slices.Equal(a.ELR, b.ELR) && slices.Equal(a.Replicas, b.Replicas)
}

// without returns the elements of a that are not in b.
func without(a, b []int32) []int32 {
	var rest []int32
	for _, v := range a {
		if !slices.Contains(b, v) {
			rest = append(rest, v)
		}
	}
	return rest
}
