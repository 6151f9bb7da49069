package invariant

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// Check returns every rule that the view breaks, each as an error that names the
// partition.
func Check(v View) []error {
	c := checker{view: v}
	c.decided()
	for _, r := range v.Replicas {
		c.replica(r)
		if r.Leads {
			c.leader(r)
		}
	}
	c.complete()
	for i, a := range v.Replicas {
		for _, b := range v.Replicas[i+1:] {
			if c.comparable(a) && c.comparable(b) {
				c.agree(a, b)
			}
		}
	}
	return c.broken
}

type checker struct {
	view   View
	broken []error
}

func (c *checker) must(ok bool, format string, args ...any) {
	if !ok {
		where := fmt.Sprintf("%s-%d: ", c.view.Topic, c.view.Partition)
		c.broken = append(c.broken, fmt.Errorf(where+format, args...))
	}
}

// decided checks what the coordinator decided.
func (c *checker) decided() {
	p := c.view.Decided
	for _, set := range []struct {
		name string
		ids  []int32
	}{{"replicas", p.Replicas}, {"ISR", p.ISR}, {"ELR", p.ELR}} {
		for i, id := range set.ids {
			c.must(slices.Contains(p.Replicas, id), "broker %d is in the %s %v but not assigned: %v", id, set.name, set.ids, p.Replicas)
			c.must(!slices.Contains(set.ids[:i], id), "broker %d is twice in the %s %v", id, set.name, set.ids)
		}
	}
	for _, id := range p.ISR {
		c.must(!slices.Contains(p.ELR, id), "broker %d is in the ISR %v and in the ELR %v", id, p.ISR, p.ELR)
		c.must(c.view.Inside == nil || c.view.Inside[id], "broker %d is fenced and in the ISR %v", id, p.ISR)
	}
	c.must(p.Leader == metadata.NoLeader || slices.Contains(p.ISR, p.Leader), "leader %d is not in the ISR %v", p.Leader, p.ISR)
	c.must(len(p.ISR) < c.view.MinISR || len(p.ELR) == 0, "ISR %v is no smaller than %d, yet the ELR is %v", p.ISR, c.view.MinISR, p.ELR)
	c.must(!p.Recovering || len(p.ISR) <= 1, "the leader is recovering, yet the ISR is %v", p.ISR)
}

// replica checks what one replica holds.
func (c *checker) replica(r Replica) {
	c.must(0 <= r.LogStart && r.LogStart <= r.HW && r.HW <= r.LEO,
		"broker %d: log start %d, high watermark %d and log end %d are out of order", r.Broker, r.LogStart, r.HW, r.LEO)
	for i, b := range r.Batches {
		c.must(b.Base <= b.Last, "broker %d: batch %d ends at %d", r.Broker, b.Base, b.Last)
		c.must(b.Epoch <= c.view.Decided.LeaderEpoch, "broker %d: batch %d is of epoch %d, and the newest is %d",
			r.Broker, b.Base, b.Epoch, c.view.Decided.LeaderEpoch)
		if i > 0 {
			before := r.Batches[i-1]
			c.must(b.Base == before.Last+1 || c.view.Compacted && b.Base > before.Last, "broker %d: batch %d does not follow offset %d", r.Broker, b.Base, before.Last)
			c.must(b.Epoch >= before.Epoch, "broker %d: batch %d of epoch %d follows epoch %d", r.Broker, b.Base, b.Epoch, before.Epoch)
		}
	}
}

// leader checks a replica that believes to lead.
func (c *checker) leader(r Replica) {
	for _, id := range r.MaximalISR {
		if end, ok := r.FollowerEnds[id]; ok {
			c.must(r.HW <= end, "leader %d: high watermark %d is above the log end %d of broker %d, of its maximal ISR %v",
				r.Broker, r.HW, end, id, r.MaximalISR)
		}
	}
	p := c.view.Decided
	if r.LeaderEpoch != p.LeaderEpoch {
		return // a leader of before, which has not heard yet
	}
	c.must(r.Broker == p.Leader, "broker %d leads in epoch %d, whose leader is %d", r.Broker, r.LeaderEpoch, p.Leader)
}

// complete checks that whoever may lead next holds what is committed now.
func (c *checker) complete() {
	p := c.view.Decided
	i := slices.IndexFunc(c.view.Replicas, func(r Replica) bool {
		return r.Leads && r.LeaderEpoch == p.LeaderEpoch && r.Broker == p.Leader
	})
	if i < 0 {
		return
	}
	leader := c.view.Replicas[i]
	for _, r := range c.view.Replicas {
		candidate := slices.Contains(p.ISR, r.Broker) || slices.Contains(p.ELR, r.Broker)
		// One whom the leader has not told off yet may be about to leave.
		if candidate && r.LeaderEpoch == p.LeaderEpoch {
			c.must(r.LEO >= leader.HW, "broker %d may lead next (ISR %v, ELR %v) but its log ends at %d, below the high watermark %d",
				r.Broker, p.ISR, p.ELR, r.LEO, leader.HW)
		}
	}
}

// comparable reports whether what r calls committed still counts.
func (c *checker) comparable(r Replica) bool {
	return !c.view.Unclean || slices.Contains(c.view.Decided.ISR, r.Broker) && r.LeaderEpoch == c.view.Decided.LeaderEpoch
}

// agree checks that two logs are equal where both call their records committed.
func (c *checker) agree(a, b Replica) {
	below := min(a.HW, b.HW)
	from := max(first(a), first(b))
	as, bs := within(a.Batches, from, below), within(b.Batches, from, below)
	if c.view.Compacted {
		c.agreeInPlaces(a.Broker, as, b.Broker, bs)
		return
	}
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			c.must(false, "logs differ below both high watermarks (%d and %d): broker %d has %+v, broker %d has %+v",
				a.HW, b.HW, a.Broker, as[i], b.Broker, bs[i])
			return
		}
	}
	c.must(len(as) == len(bs), "below offset %d broker %d has %d batches, broker %d has %d", below, a.Broker, len(as), b.Broker, len(bs))
}

// agreeInPlaces checks that batches which two compacted logs both have are in the
// same places: either may lack records that the other one has.
func (c *checker) agreeInPlaces(a int32, as []Batch, b int32, bs []Batch) {
	for _, x := range as {
		i, found := slices.BinarySearchFunc(bs, x.Base, func(b Batch, at int64) int { return cmp.Compare(b.Base, at) })
		if found {
			y := bs[i]
			c.must(x.Last == y.Last && x.Epoch == y.Epoch, "logs differ below both high watermarks: broker %d has %+v, broker %d has %+v", a, x, b, y)
		}
	}
}

// first is the first offset from which r's batches are known.
func first(r Replica) int64 {
	if len(r.Batches) == 0 {
		return r.HW
	}
	return max(r.LogStart, r.Batches[0].Base)
}

// within returns the batches that lie wholly in [from, to).
func within(batches []Batch, from, to int64) []Batch {
	i, _ := slices.BinarySearchFunc(batches, from, func(b Batch, at int64) int { return cmp.Compare(b.Base, at) })
	j, _ := slices.BinarySearchFunc(batches, to, func(b Batch, at int64) int { return cmp.Compare(b.Last, at) })
	return batches[min(i, j):j]
}
