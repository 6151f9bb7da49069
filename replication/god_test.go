package replication

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A god sees all replicas at once and remembers what was promised.
type god struct {
	w          *world
	promised   map[int64]promise // acks=all, by offset
	leaders    map[int32]int32   // who led, by leader epoch
	watermarks map[int32]int64   // the leader's high watermark, by leader epoch
	consumed   map[int64]string  // what consumers were given
	deleted    int64             // what lies below was answered to be deleted
	end        int64             // the highest that ListOffsets told
	lossy      bool              // an unclean election happened: acked records may be gone
}

// A promise is a record that was acked with acks=all.
type promise struct {
	value string
	epoch int32
}

func (g *god) init(w *world) {
	*g = god{w: w, promised: map[int64]promise{}, leaders: map[int32]int32{}, watermarks: map[int32]int64{}, consumed: map[int64]string{}}
}

// decided is told of every change of the partition.
func (g *god) decided(before, after metadata.Partition, res state.Result) {
	for _, e := range res.Elections {
		if e.Unclean {
			g.lossy = true
			// The loss was announced; all begins anew.
			g.promised, g.consumed, g.end, g.deleted = map[int64]promise{}, map[int64]string{}, 0, 0
		}
	}
}

// acked is told of every produce that was answered without an error.
func (g *god) acked(p *produced) {
	if p.acks != acksAll {
		return
	}
	for i, value := range p.values {
		g.promised[p.at.BaseOffset+int64(i)] = promise{value, p.at.Epoch}
	}
}

// read is told of every answer to a consumer.
func (g *god) read(raw []byte) (wrong []string) {
	batches, err := readBatches(raw)
	if err != nil {
		return []string{err.Error()}
	}
	for at, e := range entries(batches, func(string, ...any) {}, 0) {
		if old, ok := g.consumed[at]; ok && old != e.value {
			wrong = append(wrong, fmt.Sprintf("a consumer got %q at offset %d, another one %q", old, at, e.value))
		}
		g.consumed[at] = e.value
	}
	return wrong
}

// told is told of every answer to ListOffsets.
func (g *god) told(end int64) (wrong []string) {
	if end < g.end {
		wrong = append(wrong, fmt.Sprintf("the end of the partition went back from %d to %d", g.end, end))
	}
	g.end = max(g.end, end)
	return wrong
}

// check looks at everything and returns what must not be.
func (g *god) check() []string {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var alive []*node
	logs := map[int32]map[int64]entry{}
	for _, n := range g.w.nodes {
		if n.up && n.replica != nil {
			alive = append(alive, n)
			logs[n.id] = entries(n.batches(), bad, n.id)
		}
	}
	for _, n := range alive {
		s := n.replica.Status()
		if s.HighWatermark > s.LogEndOffset {
			bad("broker %d: high watermark %d above log end %d", n.id, s.HighWatermark, s.LogEndOffset)
		}
		g.checkEpochs(s, n, bad)
		if s.Role == Leading {
			g.checkLeader(s, n, logs, bad)
		}
	}
	g.checkMatching(alive, logs, bad)
	g.checkPromises(logs, bad)
	return wrong
}

// checkLeader: one leader an epoch, and its high watermark never goes back. Where
// it goes, everybody in the maximal ISR has been. (Later they may be less far: who
// lost power comes back with less, and leaves the ISR for it.)
func (g *god) checkLeader(s Status, n *node, logs map[int32]map[int64]entry, bad func(string, ...any)) {
	if other, ok := g.leaders[s.LeaderEpoch]; ok && other != n.id {
		bad("brokers %d and %d both lead in epoch %d", other, n.id, s.LeaderEpoch)
	}
	g.leaders[s.LeaderEpoch] = n.id
	before, known := g.watermarks[s.LeaderEpoch]
	if known && s.HighWatermark < before {
		bad("broker %d: high watermark went back from %d to %d in epoch %d", n.id, before, s.HighWatermark, s.LeaderEpoch)
	}
	g.watermarks[s.LeaderEpoch] = s.HighWatermark
	for _, f := range s.Followers {
		if known && s.HighWatermark > before && slices.Contains(s.MaximalISR, f.Broker) && s.HighWatermark > f.LogEndOffset {
			bad("broker %d: high watermark went to %d, past %d, where broker %d of the maximal ISR is", n.id, s.HighWatermark, f.LogEndOffset, f.Broker)
		}
	}
	p := g.w.partition()
	if s.LeaderEpoch != p.LeaderEpoch {
		return
	}
	for _, broker := range p.ISR {
		if !slices.Contains(s.MaximalISR, broker) {
			bad("broker %d: the coordinator has broker %d in the ISR %v, the maximal ISR is %v", n.id, broker, p.ISR, s.MaximalISR)
		}
	}
}

// checkEpochs: what a log says of its epochs is what its records say.
func (g *god) checkEpochs(s Status, n *node, bad func(string, ...any)) {
	last := int32(-1)
	for _, b := range n.batches() {
		if b.epoch < last {
			bad("broker %d: epoch %d after %d at offset %d", n.id, b.epoch, last, b.base)
		}
		if b.epoch > last {
			last = b.epoch
			i := slices.IndexFunc(s.EpochStarts, func(e partition.EpochStart) bool { return e.Epoch == b.epoch })
			if i < 0 || s.EpochStarts[i].Offset > max(b.base, s.LogStartOffset) || b.base > s.LogStartOffset && s.EpochStarts[i].Offset != b.base {
				bad("broker %d: epoch %d begins at %d, its cache says %v", n.id, b.epoch, b.base, s.EpochStarts)
			}
		}
	}
}

// checkMatching: two logs that agree on the epoch of a record agree on all before
// it; below both high watermarks they agree on everything.
func (g *god) checkMatching(alive []*node, logs map[int32]map[int64]entry, bad func(string, ...any)) {
	for i, a := range alive {
		for _, b := range alive[i+1:] {
			from := max(a.log.LogStartOffset(), b.log.LogStartOffset())
			to := min(a.log.LogEndOffset(), b.log.LogEndOffset())
			committed := min(a.replica.HighWatermark(), b.replica.HighWatermark())
			parted := int64(-1)
			for at := from; at < to; at++ {
				x, y := logs[a.id][at], logs[b.id][at]
				switch {
				case x == y && parted >= 0:
					bad("brokers %d and %d share offset %d of epoch %d, but not %d", a.id, b.id, at, x.epoch, parted)
				case x != y && x.epoch == y.epoch:
					bad("brokers %d and %d have %q and %q at offset %d of epoch %d", a.id, b.id, x.value, y.value, at, x.epoch)
				case x != y && at < committed && !g.lossy:
					bad("brokers %d and %d differ at offset %d, committed on both", a.id, b.id, at)
				}
				if x != y && parted < 0 {
					parted = at
				}
			}
		}
	}
}

// checkPromises: whoever leads in the newest epoch has every record that was acked.
func (g *god) checkPromises(logs map[int32]map[int64]entry, bad func(string, ...any)) {
	p := g.w.partition()
	if p.Leader == metadata.NoLeader || logs[p.Leader] == nil {
		return
	}
	leader := g.w.node(p.Leader)
	if start := leader.log.LogStartOffset(); start < g.deleted {
		bad("broker %d leads from offset %d on, and everything below %d was deleted", leader.id, start, g.deleted)
	}
	for at, promised := range g.promised {
		if got := logs[leader.id][at]; got.value != promised.value && at >= leader.log.LogStartOffset() {
			bad("broker %d leads without %q, acked at offset %d in epoch %d; it has %q", leader.id, promised.value, at, promised.epoch, got.value)
		}
	}
	for at, value := range g.consumed {
		if got := logs[leader.id][at]; got.value != value && at >= leader.log.LogStartOffset() {
			bad("broker %d leads without %q, which a consumer got at offset %d; it has %q", leader.id, value, at, got.value)
		}
	}
}

// An entry is one record.
type entry struct {
	value string
	epoch int32
}

func entries(batches []stored, bad func(string, ...any), broker int32) map[int64]entry {
	all := map[int64]entry{}
	next := int64(-1)
	for _, b := range batches {
		if next >= 0 && b.base != next {
			bad("broker %d: offset %d follows %d", broker, b.base, next-1)
		}
		for i, value := range b.values {
			all[b.base+int64(i)] = entry{value, b.epoch}
		}
		next = b.base + int64(len(b.values))
	}
	return all
}
