package partition

import (
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
)

// keptBatch is from which size on a batch gets a slab of its own, if the disk can
// keep that.
const keptBatch = 4 << 10

// keep is add for a batch that the disk keeps: nothing is copied after this.
func (t *tail) keep(batch Batch, upTo, newest written, of *Tails) {
	keep := keptTail
	if of.full() {
		keep = 0
	}
	t.giveUp(func(b *block) bool { return b.last.number <= newest.number && t.size-cap(b.buf) >= keep })
	b := keptBlocks.Get().(*block)
	b.kept = slab.Of(batch)
	b.buf = b.kept.Memory()[:len(batch)]
	b.of, b.base, b.last = of, batch.BaseOffset(), upTo
	b.ends = append(b.ends[:0], end{upTo.next, len(batch)})
	of.lend(cap(b.buf))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blocks = append(t.blocks, b)
	t.size += cap(b.buf)
}

// keptBlocks are blocks without memory.
var keptBlocks = sync.Pool{New: func() any { return &block{class: keptClass} }}

// lend appends to spans what the tail has of r, as long as it is kept. ok is false if
// the first of it is not.
func (t *tail) lend(spans []slab.Span, r *reading) (lent []slab.Span, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.findLocked(r.from)
	if i < 0 {
		return spans, false
	}
	for _, b := range t.blocks[i:] {
		if b.kept == nil {
			return spans, ok
		}
		ok = true
		from, to := b.take(r)
		if from == to {
			break
		}
		spans = append(spans, b.kept.Span(from, to))
	}
	return spans, ok
}
