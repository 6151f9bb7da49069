package partition

import (
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
)

// keptBatch is from which size on a batch lies in a slab, if the disk can
// keep that.
const keptBatch = 1 << 10

// keptLent is how much of that stays in a tail. It takes no memory, since the disk has
// it, too; but a follower that finds it there need not copy and check it.
const keptLent = 8 << 20

// keep is add for a batch that the disk keeps: nothing is copied after this.
func (t *tail) keep(batch Batch, upTo, newest written) {
	if t.kept >= keptLent { // many at once: what stays is moved up
		t.giveUp(func(b *block) bool { return b.last.number <= newest.number && t.overLocked(b, keptTail, keptLent*3/4) })
	}
	b, at := t.keptRoom(batch)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b.ends) == 0 {
		t.blocks = append(t.blocks, b)
	}
	b.buf = b.buf[:at]
	b.ends = append(b.ends, end{upTo.next, at})
	b.last = upTo
	t.kept += len(batch)
}

// Batches of less than ownSlab share one, behind each other, where a log is busy: to ask for
// memory costs as much as to copy them.
const (
	ownSlab    = 32 << 10
	sharedSlab = 64 << 10
)

// keptRoom returns the block that the batch lies in, whose end nobody looks at yet, and where it ends there.
func (t *tail) keptRoom(batch Batch) (b *block, at int) {
	busy := false
	if n := len(t.blocks); n > 0 && t.blocks[n-1].kept != nil {
		b, busy = t.blocks[n-1], true
	}
	if busy && cap(b.buf)-len(b.buf) >= len(batch) {
		return b, len(b.buf) + copy(b.buf[len(b.buf):cap(b.buf)], batch)
	}
	b = keptBlocks.Get().(*block)
	b.base = batch.BaseOffset()
	if !busy || len(batch) >= ownSlab {
		b.kept = slab.Of(batch)
		b.buf = b.kept.Memory()[:0]
		return b, len(batch)
	}
	b.kept = slab.New(sharedSlab)
	b.buf = b.kept.Memory()[:0]
	return b, copy(b.kept.Memory(), batch)
}

// keptBlocks are blocks without memory.
var keptBlocks = sync.Pool{New: func() any { return new(block) }}

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
