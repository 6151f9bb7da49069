package partition

import (
	"slices"
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
)

// A tail is the newest bytes of a log, in memory, as its leader appended them: what
// is staged lies there until it is written, and whoever reads near the log's end is
// served from there. Its bytes were checked when they were appended, so they are
// copied out and not checked again. Either it is empty or it reaches to the log's
// end, within the active segment: whatever changes the log in another way than by
// staging drops it, and then the files answer.
//
// Blocks are lent by pools, since the first touch of fresh memory costs more than
// everything else that an append does. A log that rests gives them back. Only where the disk is memory,
// too, that is touched anyway, a batch of some size lies in a slab of its own: the
// disk keeps it, and so do those to whom it is lent (tail_kept.go).
type tail struct {
	mu     sync.Mutex // a leaf, under tip.mu when something changes
	blocks []*block   // the oldest first, each behind the one before
	size   int        // capacity of the pools' blocks
	kept   int        // size of the others
}

// keptTail is about how much of a busy log stays in its tail: what followers and
// consumers that keep up are behind.
const keptTail = 512 << 10

// overLocked reports whether the tail could do without b, its oldest block, if so much
// of it is to stay.
func (t *tail) overLocked(b *block, pooled, kept int) bool {
	if b.kept != nil {
		return t.size > 0 && t.size >= pooled || t.kept-len(b.buf) >= kept
	}
	return t.size-cap(b.buf) >= pooled || t.kept > 0 && t.kept >= kept
}

// add puts a batch, whose offset is given, behind the others; upTo is the log's end
// then. Of what is written, up to newest, the oldest is given up. tip.mu is held.
func (t *tail) add(batch Batch, upTo, newest written, of *Tails) {
	b := t.room(len(batch), newest, of)
	if len(b.buf) == 0 {
		b.base = batch.BaseOffset()
	}
	at := len(b.buf) + copy(b.buf[len(b.buf):cap(b.buf)], batch) // nobody looks there yet
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(b.buf) == 0 {
		t.blocks = append(t.blocks, b)
		t.size += cap(b.buf)
	}
	if b.kept != nil { // it had room behind larger ones
		t.kept += len(batch)
	}
	b.buf = b.buf[:at]
	b.ends = append(b.ends, end{upTo.next, at})
	b.last = upTo
}

// room returns the last block, if it has room for a batch of that size, or a new one
// that nobody sees yet. tip.mu is held.
func (t *tail) room(size int, newest written, of *Tails) *block {
	if n := len(t.blocks); n > 0 && cap(t.blocks[n-1].buf)-len(t.blocks[n-1].buf) >= size {
		return t.blocks[n-1]
	}
	class, keep := 0, keptTail
	if of.full() {
		keep = 0
	} else if n := len(t.blocks); n > 0 {
		class = min(t.blocks[n-1].class+1, usualBlock)
	}
	t.giveUp(func(b *block) bool { return b.last.number <= newest.number && t.overLocked(b, keep, keptLent) })
	for class < len(blockSizes) && blockSizes[class] < size {
		class++
	}
	return takeBlock(of, class, size)
}

// drop empties the tail. Nothing in it is unwritten.
func (t *tail) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size, t.kept = 0, 0
	t.letGoLocked(len(t.blocks))
}

// dropUpTo gives up the blocks that hold nothing newer than an append.
func (t *tail) dropUpTo(number uint64) {
	t.giveUp(func(b *block) bool { return b.last.number <= number })
}

// giveUp drops the oldest blocks, one after the other, as long as they may go.
func (t *tail) giveUp(may func(*block) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.blocks) && may(t.blocks[n]) {
		t.uncountLocked(t.blocks[n])
		n++
	}
	t.letGoLocked(n)
}

func (t *tail) uncountLocked(b *block) {
	if b.kept != nil {
		t.kept -= len(b.buf)
	} else {
		t.size -= cap(b.buf)
	}
}

// letGoLocked forgets the oldest blocks, which do not count any more.
func (t *tail) letGoLocked(n int) {
	for _, b := range t.blocks[:n] {
		if b.gone = true; b.pins == 0 {
			b.give()
		}
	}
	t.blocks = slices.Delete(t.blocks, 0, n)
}

// unwritten appends to spans the oldest bytes behind w that lie in one piece, or in
// several that are kept, and returns the log's end behind them. There are some, and
// tip.mu is held.
func (t *tail) unwritten(spans []slab.Span, w written) ([]slab.Span, written) {
	i := len(t.blocks) - 1
	for i > 0 && t.blocks[i-1].last.number > w.number {
		i--
	}
	b := t.blocks[i]
	from := int(w.behind.at() - (b.last.behind.at() - int64(len(b.buf))))
	if b.kept == nil {
		return append(spans, slab.Borrow(b.buf[from:])), b.last
	}
	for _, next := range t.blocks[i:] {
		if next.kept == nil {
			break
		}
		b = next
		spans = append(spans, b.kept.Span(from, len(b.buf)))
		from = 0
	}
	return spans, b.last
}

// read appends to buf what the tail has of r. ok is false if it does not have the
// first of it, and then the files have to be asked.
func (t *tail) read(buf []byte, r *reading) (out []byte, ok bool) {
	for {
		b, batches, found := t.pin(r)
		if !found {
			return buf, ok
		}
		ok = true
		if b == nil {
			return buf, true
		}
		buf = append(buf, batches...)
		t.unpin(b)
	}
}

// pin finds the next stretch of batches that belong to r and keeps its block from
// being used for something else. b is nil if none is to be returned any more.
func (t *tail) pin(r *reading) (b *block, batches []byte, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.findLocked(r.from)
	if i < 0 {
		return nil, nil, false
	}
	b = t.blocks[i]
	from, to := b.take(r)
	if to == from {
		return nil, nil, true
	}
	b.pins++
	return b, b.buf[from:to], true
}

// findLocked returns the index of the block that an offset lies in, or behind; -1 if
// that is before the tail.
func (t *tail) findLocked(offset int64) int {
	i := len(t.blocks) - 1
	for i >= 0 && t.blocks[i].base > offset {
		i--
	}
	return i
}

// take takes the batches [from, to) of the block off r.
func (b *block) take(r *reading) (from, to int) {
	first, _ := slices.BinarySearchFunc(b.ends, r.from+1, endsBelow)
	if first > 0 {
		from = b.ends[first-1].at
	}
	last := first
	for to = from; last < len(b.ends); last++ {
		e := b.ends[last]
		if e.next > r.limit || e.at-from > r.left && !r.must {
			break
		}
		to, r.must = e.at, false
	}
	if to > from {
		r.from, r.left = b.ends[last-1].next, r.left-(to-from)
	}
	return from, to
}

func endsBelow(e end, next int64) int {
	if e.next < next {
		return -1
	}
	return 1
}

func (t *tail) unpin(b *block) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b.pins--; b.pins == 0 && b.gone {
		b.give()
	}
}
