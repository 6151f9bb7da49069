package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/brokersim/brokersim"
)

// A watch looks at the whole cluster again and again, and remembers what no
// single look can show.
type watch struct {
	run  *run
	seen map[Place]*memory
}

// memory is what was seen of a partition.
type memory struct {
	leaderEpoch, partitionEpoch int32
	// committed is the highest high watermark that any leader ever had, or the end
	// of what was acknowledged by all.
	committed int64
	hws       map[reign]int64 // the newest high watermark of each leader in its epoch
}

type reign struct {
	broker int32
	epoch  int32
	broken int64 // broker epoch: a leader that restarts begins from its checkpoint
}

// often is the time between two looks; every tenth compares the logs.
const often = 100 * time.Millisecond

func (w *watch) until(ctx context.Context) {
	for i := 1; sleep(ctx, often); i++ {
		w.look()
		if i%10 == 0 {
			w.run.cluster.CheckInvariants()
		}
	}
}

// look takes what was promised before it looks at who is to keep it, and who is a
// member before it looks at what members hold.
func (w *watch) look() {
	promised := w.run.history.Promised()
	first := w.run.cluster.Snapshot()
	second := w.run.cluster.Snapshot()
	for _, p := range first.Partitions {
		at := Place{p.Topic, p.Partition}
		m := w.seen[at]
		if m == nil {
			m = &memory{leaderEpoch: -1, partitionEpoch: -1, hws: map[reign]int64{}}
			w.seen[at] = m
		}
		m.committed = max(m.committed, promised[at])
		w.epochs(at, p, m)
		if held, ok := second.Partition(p.Topic, p.Partition); ok {
			w.members(at, p, held, m)
		}
		w.highWatermarks(at, first, p, m)
	}
}

func (w *watch) epochs(at Place, p brokersim.PartitionState, m *memory) {
	if p.LeaderEpoch < m.leaderEpoch || p.PartitionEpoch < m.partitionEpoch {
		w.run.wrong("%v: epochs %d.%d after %d.%d", at, p.LeaderEpoch, p.PartitionEpoch, m.leaderEpoch, m.partitionEpoch)
	}
	m.leaderEpoch, m.partitionEpoch = max(m.leaderEpoch, p.LeaderEpoch), max(m.partitionEpoch, p.PartitionEpoch)
}

// members checks that whoever leads or may lead next holds all that was
// committed before.
func (w *watch) members(at Place, decided, held brokersim.PartitionState, m *memory) {
	for _, r := range held.Replicas {
		member := slices.Contains(decided.ISR, r.Broker) || slices.Contains(decided.ELR, r.Broker)
		if member && r.LEO < m.committed && !w.run.nemesis.hasLost(r.Broker) {
			w.run.wrong("%v: broker %d may lead (leader %d, ISR %v, ELR %v), its log ends at %d, and offset %d was committed",
				at, r.Broker, decided.Leader, decided.ISR, decided.ELR, r.LEO, m.committed-1)
		}
	}
}

// highWatermarks checks that none goes back while its leader leads.
func (w *watch) highWatermarks(at Place, s brokersim.Snapshot, p brokersim.PartitionState, m *memory) {
	for _, r := range p.Replicas {
		if !r.Leads {
			continue
		}
		b, _ := s.Broker(r.Broker)
		leads := reign{r.Broker, r.LeaderEpoch, b.Epoch}
		if before := m.hws[leads]; r.HW < before {
			w.run.wrong("%v: the high watermark of broker %d goes back from %d to %d in epoch %d", at, r.Broker, before, r.HW, r.LeaderEpoch)
		}
		m.hws[leads] = r.HW
		m.committed = max(m.committed, r.HW)
	}
}
