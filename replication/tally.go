package replication

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/guard"
)

// A Tally lets one goroutine wait for what it has appended to many replicas, and be
// woken once: by the last. A request that names a thousand partitions would else be
// woken a thousand times. Use it once: Count each, then Wait, then ask each replica how
// it ended, with AwaitCommitted.
type Tally struct {
	left atomic.Int64  // waits that have not ended, and one of Wait's own
	done chan struct{} // closed when there are none
	on   []*Watermark
}

// NewTally returns a tally of nothing.
func NewTally() *Tally {
	t := &Tally{done: make(chan struct{})}
	t.left.Store(1)
	return t
}

// Count adds one more thing to wait for.
func (t *Tally) Count(r *Replica, a Appended) {
	if r.marks.count(t, goal{a.Epoch, a.LastOffset + 1, guard.MinISRAfterAppend.Holds()}) {
		t.on = append(t.on, &r.marks)
	}
}

// Wait returns when AwaitCommitted of everything counted would return at once, or ctx
// has ended.
func (t *Tally) Wait(ctx context.Context) {
	t.ended()
	select {
	case <-t.done:
	case <-ctx.Done():
		for _, w := range t.on {
			w.discount(t)
		}
	}
}

func (t *Tally) ended() {
	if t.left.Add(-1) == 0 {
		close(t.done)
	}
}

// A tallied wait is one that a tally counts.
type tallied struct {
	goal
	tally *Tally
}

// count has a tally told once when the wait for g ends; false if it has ended.
func (w *Watermark) count(t *Tally, g goal) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ends, _ := g.ends(w.mark); ends {
		return false
	}
	t.left.Add(1)
	w.counts = append(w.counts, tallied{g, t})
	return true
}

// discount forgets a tally.
func (w *Watermark) discount(t *Tally) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts = slices.DeleteFunc(w.counts, func(c tallied) bool { return c.tally == t })
}
