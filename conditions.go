package brokersim

import (
	"fmt"
	"slices"
	"strings"
)

// A Cond looks at a snapshot. If it does not hold, why says what is missing, in
// words that fit behind "waiting for ...".
type Cond func(Snapshot) (ok bool, why string)

// FullISR holds when every broker is up and unfenced, every partition has a
// leader that knows it, and every assigned replica is in sync.
func FullISR() Cond {
	return func(s Snapshot) (bool, string) {
		for _, b := range s.Brokers {
			if ok, why := Registered(b.ID, Unfenced)(s); !ok {
				return false, why
			}
		}
		for _, p := range s.Partitions {
			if ok, why := hasLeader(p); !ok {
				return false, why
			}
			if len(p.ISR) < len(p.Assigned) {
				return false, fmt.Sprintf("a full ISR of %s-%d: it is %v of %v", p.Topic, p.Partition, p.ISR, p.Assigned)
			}
		}
		return true, ""
	}
}

// ISR holds when exactly these brokers are in sync, in any order.
func ISR(topic string, partition int32, brokers ...int32) Cond {
	want := slices.Sorted(slices.Values(brokers))
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		return slices.Equal(slices.Sorted(slices.Values(p.ISR)), want),
			fmt.Sprintf("ISR %v of %s-%d: it is %v", want, topic, partition, p.ISR)
	})
}

// InISR holds when the broker is in sync.
func InISR(topic string, partition int32, broker int32) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		return slices.Contains(p.ISR, broker),
			fmt.Sprintf("broker %d to join the ISR of %s-%d: it is %v", broker, topic, partition, p.ISR)
	})
}

// NotInISR holds when the broker is not in sync.
func NotInISR(topic string, partition int32, broker int32) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		return !slices.Contains(p.ISR, broker),
			fmt.Sprintf("broker %d to leave the ISR of %s-%d: it is %v", broker, topic, partition, p.ISR)
	})
}

// NewLeader holds when another broker than not leads, and knows it.
func NewLeader(topic string, partition int32, not int32) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		if p.Leader == not {
			return false, fmt.Sprintf("another leader of %s-%d than broker %d", topic, partition, not)
		}
		return hasLeader(p)
	})
}

// LedBy holds when the broker leads, and knows it.
func LedBy(topic string, partition int32, broker int32) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		if p.Leader != broker {
			return false, fmt.Sprintf("broker %d to lead %s-%d: broker %d does", broker, topic, partition, p.Leader)
		}
		return hasLeader(p)
	})
}

// HasLeader holds when some broker leads the partition, and knows it.
func HasLeader(topic string, partition int32) Cond {
	return onPartition(topic, partition, hasLeader)
}

// NoLeader holds when the partition has no leader.
func NoLeader(topic string, partition int32) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		return p.Leader < 0, fmt.Sprintf("%s-%d to lose its leader: broker %d leads", topic, partition, p.Leader)
	})
}

// Replicated holds when every assigned replica holds the records below offset
// and the leader's high watermark has reached it: those records are committed.
func Replicated(topic string, partition int32, offset int64) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) {
		for _, id := range p.Assigned {
			r, ok := p.Replica(id)
			if !ok {
				return false, fmt.Sprintf("%s-%d up to offset %d on broker %d: no replica runs there", topic, partition, offset, id)
			}
			if r.LEO < offset {
				return false, fmt.Sprintf("%s-%d up to offset %d on broker %d: its log ends at %d", topic, partition, offset, id, r.LEO)
			}
		}
		return committed(p, offset)
	})
}

// Committed holds when the leader's high watermark has reached offset: all
// records below it are committed.
func Committed(topic string, partition int32, offset int64) Cond {
	return onPartition(topic, partition, func(p PartitionState) (bool, string) { return committed(p, offset) })
}

// Registered holds when the coordinator thinks this of the broker, and the
// broker's process fits: an unfenced broker that is down counts as not unfenced.
func Registered(broker int32, as Registration) Cond {
	return func(s Snapshot) (bool, string) {
		b, ok := s.Broker(broker)
		if !ok {
			return false, fmt.Sprintf("broker %d to be %s: there is no such broker", broker, as)
		}
		if as == Unfenced && !b.Process.Up() {
			return false, fmt.Sprintf("broker %d to be unfenced: its process is %s", broker, b.Process)
		}
		return b.Registration == as, fmt.Sprintf("broker %d to be %s: it is %s", broker, as, b.Registration)
	}
}

// ActiveCoordinator holds when some coordinator node is active.
func ActiveCoordinator() Cond {
	return func(s Snapshot) (bool, string) { return s.Quorum.Active != "", "an active coordinator" }
}

// All holds when every one of the conditions does.
func All(conds ...Cond) Cond {
	return func(s Snapshot) (bool, string) {
		for _, cond := range conds {
			if ok, why := cond(s); !ok {
				return false, why
			}
		}
		return true, ""
	}
}

// Any holds when one of the conditions does.
func Any(conds ...Cond) Cond {
	return func(s Snapshot) (bool, string) {
		var whys []string
		for _, cond := range conds {
			ok, why := cond(s)
			if ok {
				return true, ""
			}
			whys = append(whys, why)
		}
		return false, strings.Join(whys, ", or ")
	}
}

// Not holds when the condition does not; what says it in words for the error.
func Not(cond Cond, what string) Cond {
	return func(s Snapshot) (bool, string) {
		ok, _ := cond(s)
		return !ok, what
	}
}

func onPartition(topic string, partition int32, look func(PartitionState) (bool, string)) Cond {
	return func(s Snapshot) (bool, string) {
		p, ok := s.Partition(topic, partition)
		if !ok {
			return false, fmt.Sprintf("%s-%d to exist", topic, partition)
		}
		return look(p)
	}
}

func hasLeader(p PartitionState) (bool, string) {
	if p.Leader < 0 {
		return false, fmt.Sprintf("a leader of %s-%d: nobody leads", p.Topic, p.Partition)
	}
	if r, ok := p.Replica(p.Leader); !ok || !r.Leads || r.LeaderEpoch != p.LeaderEpoch {
		return false, fmt.Sprintf("broker %d to take the lead of %s-%d in epoch %d", p.Leader, p.Topic, p.Partition, p.LeaderEpoch)
	}
	return true, ""
}

func committed(p PartitionState, offset int64) (bool, string) {
	return p.HighWatermark >= offset,
		fmt.Sprintf("the high watermark of %s-%d to reach %d: it is %d", p.Topic, p.Partition, offset, p.HighWatermark)
}
