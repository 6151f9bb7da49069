package partition

import (
	"runtime"
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
)

// A slot is the writer's: whoever writes to the files holds it, for as long as the
// disk takes. Who only stages a batch does not need it, unless it is closed, by
// somebody who changes more than the log's end.
type slot struct {
	given  sync.Cond // its mutex is tip.mu
	taken  bool
	closed bool
	wanted int         // who wait to close it: nobody stages before they had it
	crowd  uint64      // appends that the newest write was for, and 1 if others came meanwhile
	spans  []slab.Span // scratch of who has taken it
}

// hold waits for the writer's slot and closes it until release is called. What is
// staged is written first, unless the disk fails.
func (l *Log) hold() (release func()) {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slot.wanted++
	for t.slot.taken {
		t.slot.given.Wait()
	}
	t.slot.wanted--
	t.slot.taken, t.slot.closed = true, true
	for t.newest.number < t.staged.number && l.usable() == nil {
		l.flushLocked()
		t.slot.given.Broadcast() // who waits for that need not wait for what comes now
	}
	return l.letGo
}

func (l *Log) release() {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slot.taken, t.slot.closed = false, false
	t.slot.given.Broadcast()
}

// writeLocked waits until everything up to a number is written, and does it itself
// when it finds the slot free.
func (l *Log) writeLocked(number uint64) error {
	t := &l.tip
	for number > t.newest.number {
		if err := l.usable(); err != nil {
			return err
		}
		if t.slot.taken {
			t.slot.crowd = max(t.slot.crowd, 2)
			t.slot.given.Wait()
			continue
		}
		t.slot.taken = true
		l.gatherLocked()
		t.slot.crowd = t.staged.number - t.newest.number
		l.flushLocked()
		t.slot.taken = false
		t.slot.given.Broadcast()
	}
	return nil
}

// gatherLocked leaves those time to come back with their next batch who were woken
// by the write before, if there were several, for as long as they do: one write of all
// batches costs little more than one of this alone.
func (l *Log) gatherLocked() {
	t := &l.tip
	for i, still := 0, 0; t.slot.crowd > 1 && i < gatherings && still < stillness; i++ {
		before := t.staged.number
		t.mu.Unlock()
		runtime.Gosched()
		t.mu.Lock()
		if still++; t.staged.number > before {
			still = 0
		}
	}
}

const (
	gatherings = 64 // others are let before a write that is shared so often, at most
	stillness  = 2  // and no more after so many times in which nobody came
)

// flushLocked writes what is staged and lies in one piece, or is kept. The writer's
// slot is held; tip.mu is not, during the write.
func (l *Log) flushLocked() {
	t := &l.tip
	spans, upTo := t.tail.unwritten(t.slot.spans[:0], t.newest)
	at := t.newest.behind.at()
	t.mu.Unlock()
	var err error
	for _, batches := range spans {
		var n int
		if n, err = vfs.WriteSpanAt(upTo.in.file, batches, at); err != nil {
			_ = l.fail("append", err) // who waits for the write hears of it from usable
			break
		}
		at += int64(n)
	}
	clear(spans)
	t.mu.Lock()
	t.slot.spans = spans[:0]
	if err == nil {
		l.wroteLocked(upTo)
	}
}

// Unwritten reports whether something is staged that is not written yet.
func (l *Log) Unwritten() bool {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.staged.number > t.newest.number && l.usable() == nil
}

// AwaitStaged waits until all that is staged is written.
func (l *Log) AwaitStaged() error {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	return l.writeLocked(t.staged.number)
}
