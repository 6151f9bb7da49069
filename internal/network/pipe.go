package network

import (
	"os"
	"sync"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
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

// read waits for bytes and copies as many as have arrived.
func (p *pipe) read(b []byte) (int, error) {
	n, _, err := p.take(b, false)
	return n, err
}

// take waits for bytes. If borrow is set and a lent chunk comes next, of which nothing has
// been read, that is s; otherwise it copies what has arrived, as far as there is room in b,
// but not what it could borrow.
func (p *pipe) take(b []byte, borrow bool) (n int, s slab.Span, err error) {
	for {
		if err := p.readerGate.Pass(); err != nil {
			return 0, s, err
		}
		p.mu.Lock()
		for {
			if err := p.readErr; err != nil {
				p.mu.Unlock()
				return 0, s, err
			}
			if p.readDeadline.passed {
				p.mu.Unlock()
				return 0, s, os.ErrDeadlineExceeded
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
		n, s, err := p.takeLocked(b, borrow)
		p.mu.Unlock()
		return n, s, err
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

func (p *pipe) takeLocked(b []byte, borrow bool) (n int, s slab.Span, err error) {
	for n < len(b) && p.arrivedLocked() {
		c := &p.queue[p.head]
		if c.end != nil {
			if n == 0 {
				err = c.end
			}
			break
		}
		if borrow && c.untouched() {
			if n == 0 {
				s = c.lent
				p.readLocked(c, s.Len())
			}
			break
		}
		m := copy(b[n:], c.buf[c.r:c.w])
		p.readLocked(c, m)
		n += m
	}
	if n+s.Len() > 0 && p.size < pipeLimit/2 {
		p.room.Broadcast()
	}
	return n, s, err
}

// readLocked notes that m bytes of c, the first chunk, have been read.
func (p *pipe) readLocked(c *chunk, m int) {
	c.r += m
	p.size -= m
	if c.r < c.w {
		return
	}
	c.recycle()
	*c = chunk{}
	if p.head++; p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	}
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
