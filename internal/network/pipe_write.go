package network

import (
	"os"
	"time"
)

// How bytes get into a pipe: one writer after the other, message by message if somebody
// wants to see them, as far as there is room.

// write queues all of b. It waits for room, and for other writers.
func (p *pipe) write(b []byte) (n int, err error) {
	if err := p.beginLocked(); err != nil {
		return 0, err
	}
	defer p.mu.Unlock()
	defer p.doneLocked()
	return p.passLocked(b)
}

// writePieces queues all pieces, and nothing of others between them.
func (p *pipe) writePieces(pieces [][]byte) error {
	if err := p.beginLocked(); err != nil {
		return err
	}
	defer p.mu.Unlock()
	defer p.doneLocked()
	for _, b := range pieces {
		if _, err := p.passLocked(b); err != nil {
			return err
		}
	}
	return nil
}

// tryWrite queues all of b if nothing is to be waited for.
func (p *pipe) tryWrite(b []byte) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing || p.size+len(b) > pipeLimit || p.writerGate.Paused() || p.writerGate.IsShut() || p.writableLocked() != nil {
		return false
	}
	if p.frames != nil {
		if p.frames.intercepting(p.link) {
			return false
		}
		p.frames.observe(b)
	}
	p.appendLocked(b, hold{})
	p.doneLocked()
	return true
}

// beginLocked waits for the turn to write, and locks the pipe unless it fails.
func (p *pipe) beginLocked() error {
	if err := p.writerGate.Pass(); err != nil {
		return err
	}
	p.mu.Lock()
	for p.writing {
		if err := p.writableLocked(); err != nil {
			p.mu.Unlock()
			return err
		}
		p.room.Wait()
	}
	p.writing = true
	return nil
}

// passLocked queues b, message by message if interceptors want to see them.
func (p *pipe) passLocked(b []byte) (n int, err error) {
	switch {
	case p.frames == nil:
		return p.putLocked(b, hold{})
	case !p.frames.intercepting(p.link):
		p.frames.observe(b)
		return p.putLocked(b, hold{})
	}
	return p.writeMessagesLocked(b)
}

// doneLocked ends a write: what interceptors want to answer goes in between
// two messages, and the next writer may begin.
func (p *pipe) doneLocked() {
	p.writing = false
	p.flushInjectedLocked()
	p.announceLocked()
	p.room.Broadcast()
}

// writableLocked returns why nothing may be written.
func (p *pipe) writableLocked() error {
	switch {
	case p.writeErr != nil:
		return p.writeErr
	case p.readerGone != nil && !p.back.held():
		return p.readerGone
	case p.writeDeadline.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// putLocked queues b, waiting for room where it must.
func (p *pipe) putLocked(b []byte, h hold) (n int, err error) {
	if err := p.writableLocked(); err != nil {
		return 0, err
	}
	for n < len(b) {
		room, err := p.roomLocked()
		if err != nil {
			return n, err
		}
		m := min(len(b)-n, room)
		p.appendLocked(b[n:n+m], h)
		n += m
	}
	return n, nil
}

// roomLocked waits until there is room and the writer is not paused. It returns how many
// bytes may be queued.
func (p *pipe) roomLocked() (room int, err error) {
	for p.size >= pipeLimit || p.writerGate.Paused() {
		p.announceLocked()
		if p.writerGate.Paused() {
			p.mu.Unlock()
			err := p.writerGate.Pass()
			p.mu.Lock()
			if err != nil {
				return 0, err
			}
		} else {
			p.room.Wait()
		}
		if err := p.writableLocked(); err != nil {
			return 0, err
		}
	}
	return pipeLimit - p.size, nil
}

// appendLocked queues b whole. The reader hears of it from announceLocked.
func (p *pipe) appendLocked(b []byte, h hold) {
	for len(b) > 0 {
		m := min(len(b), largeChunk)
		at := p.link.arrival(m)
		c := p.tailLocked(at, h)
		if c == nil {
			fresh := newChunk(m)
			fresh.hold, fresh.linked = h, at
			c = p.pushLocked(fresh)
		}
		m = copy(c.buf[c.w:], b[:m])
		c.w += m
		p.size += m
		b = b[m:]
	}
	p.unread = true
}

// announceLocked wakes a reader if something was queued: once for a message in
// pieces, and not before its writer has to wait or is done.
func (p *pipe) announceLocked() {
	if p.unread {
		p.unread = false
		p.readable.Signal()
	}
}

// tailLocked returns the last chunk if bytes of the same conditions fit into it.
func (p *pipe) tailLocked(at time.Time, h hold) *chunk {
	if len(p.queue) == p.head || !at.IsZero() || !h.free() {
		return nil
	}
	c := &p.queue[len(p.queue)-1]
	if c.w == len(c.buf) || c.end != nil || !c.free() || !c.linked.IsZero() {
		return nil
	}
	return c
}

func (p *pipe) pushLocked(c chunk) *chunk {
	if p.head > 64 && p.head > len(p.queue)/2 { // forget what has been read
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	p.queue = append(p.queue, c)
	return &p.queue[len(p.queue)-1]
}
