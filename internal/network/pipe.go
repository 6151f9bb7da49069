package network

import (
	"os"
	"sync"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

// pipeLimit is how many bytes are under way before a writer waits.
const pipeLimit = 512 << 10

// A pipe carries the bytes of one direction of a connection: a queue of
// chunks, each with its time of arrival; only the first one is looked at, so
// jitter cannot overtake. It has no goroutine. A reader waits
// until the first chunk has arrived and the link is not cut; a writer waits
// for room. The end of the stream, and a reset, travel in the queue like bytes.
type pipe struct {
	link *link // what the bytes travel on
	back *link // what word of the reader's end travels on

	// Of the two incarnations; nil where the kernel is at that end.
	readerGate, writerGate *gate.Gate

	frames *scanner // follows the messages; nil: not Kafka's. Owned by who is writing

	mu       sync.Mutex
	readable sync.Cond
	room     sync.Cond
	queue    []chunk
	head     int // queue[:head] has been read
	size     int // bytes in the queue

	unread   bool     // something was queued that no reader was told of
	writing  bool     // somebody writes: others wait, so that writes do not mix
	injected []answer // answers of interceptors that wait for the end of a message

	readErr    error // the reader's end is closed: what Read returns
	writeErr   error // the writer's end is closed: what Write returns
	readerGone error // what Write returns once word of the reader's end has come

	readDeadline, writeDeadline deadline
	arrival                     *time.Timer   // wakes the reader when the head arrives
	gone                        chan struct{} // closed with the reader's end; made only for holds
}

func newPipe(l, back *link) *pipe {
	p := &pipe{link: l, back: back}
	p.readable.L, p.room.L = &p.mu, &p.mu
	p.readDeadline.wake, p.writeDeadline.wake = &p.readable, &p.room
	l.add(p)
	if back != l {
		back.add(p)
	}
	return p
}

// read waits for bytes and moves as many as have arrived.
func (p *pipe) read(b []byte) (int, error) {
	for {
		if err := p.readerGate.Pass(); err != nil {
			return 0, err
		}
		p.mu.Lock()
		for {
			if err := p.readErr; err != nil {
				p.mu.Unlock()
				return 0, err
			}
			if p.readDeadline.passed {
				p.mu.Unlock()
				return 0, os.ErrDeadlineExceeded
			}
			if len(b) == 0 || p.arrivedLocked() {
				break
			}
			p.readable.Wait()
		}
		if p.readerGate.Paused() { // it was paused while it waited
			p.mu.Unlock()
			continue
		}
		n, err := p.takeLocked(b)
		p.mu.Unlock()
		return n, err
	}
}

// arrivedLocked reports whether the head may be read now. If only time keeps
// it, a timer wakes the reader.
func (p *pipe) arrivedLocked() bool {
	if p.head == len(p.queue) || p.link.held() {
		return false
	}
	c := &p.queue[p.head]
	if !c.released() {
		return false
	}
	at := c.arrives()
	if at.IsZero() {
		return true
	}
	left := time.Until(at)
	if left <= 0 {
		return true
	}
	if p.arrival == nil {
		p.arrival = time.AfterFunc(left, p.wakeReaders)
	} else {
		p.arrival.Reset(left)
	}
	return false
}

func (p *pipe) takeLocked(b []byte) (n int, err error) {
	for n < len(b) && p.arrivedLocked() {
		c := &p.queue[p.head]
		if c.end != nil {
			if n == 0 {
				err = c.end
			}
			break
		}
		m := copy(b[n:], c.buf[c.r:c.w])
		c.r += m
		n += m
		p.size -= m
		if c.r == c.w {
			c.recycle()
			p.queue[p.head] = chunk{}
			if p.head++; p.head == len(p.queue) {
				p.queue, p.head = p.queue[:0], 0
			}
		}
	}
	if n > 0 && p.size < pipeLimit/2 {
		p.room.Broadcast()
	}
	return n, err
}

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
		for p.size >= pipeLimit || p.writerGate.Paused() {
			p.announceLocked()
			if p.writerGate.Paused() {
				p.mu.Unlock()
				err := p.writerGate.Pass()
				p.mu.Lock()
				if err != nil {
					return n, err
				}
			} else {
				p.room.Wait()
			}
			if err := p.writableLocked(); err != nil {
				return n, err
			}
		}
		m := min(len(b)-n, pipeLimit-p.size)
		p.appendLocked(b[n:n+m], h)
		n += m
	}
	return n, nil
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

// reshape looks at the link again after its faults have changed.
func (p *pipe) reshape() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.link.shape.Load(); s == nil || s.delay == 0 && s.jitter == 0 && s.bytesPerSec == 0 {
		for i := p.head; i < len(p.queue); i++ {
			p.queue[i].linked = time.Time{}
		}
	}
	p.readable.Broadcast()
	p.room.Broadcast()
}

func (p *pipe) wakeReaders() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readable.Broadcast()
}

func (p *pipe) setReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr == nil {
		p.readDeadline.setLocked(t)
	}
	return p.readErr
}

func (p *pipe) setWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr == nil {
		p.writeDeadline.setLocked(t)
	}
	return p.writeErr
}
