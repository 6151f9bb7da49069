package network

import (
	"io"
	"syscall"
)

// How a pipe ends: orderly, by a reset, silently, and from either side.

// finish ends the stream after what has been written; the writer's end fails with err.
func (p *pipe) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr != nil {
		return
	}
	p.closeWriteLocked(err)
	p.endLocked(io.EOF)
}

// reset drops what is under way; the reader sees ECONNRESET, after what has
// arrived, once word of it comes over the link. The writer's end fails with err.
func (p *pipe) reset(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeWriteLocked(err)
	from := p.head
	for from < len(p.queue) && !p.link.held() && p.queue[from].arrived() {
		from++
	}
	p.dropFromLocked(from)
	p.endLocked(syscall.ECONNRESET)
}

// cutShort ends the stream with a reset that overtakes nothing. The writer's
// end fails.
func (p *pipe) cutShort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr == nil {
		p.closeWriteLocked(errReset)
		p.endLocked(syscall.ECONNRESET)
	}
}

// sever fails the writer's end and drops what is under way; the reader hears nothing.
// A stream that has ended, or was reset, stays so: word of it is under way.
func (p *pipe) sever(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr != nil {
		return
	}
	p.closeWriteLocked(err)
	p.dropLocked()
}

// closeRead fails the reader's end with err. The writer is told with word,
// once it can come over the link; nil: never.
func (p *pipe) closeRead(err, word error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr == nil {
		p.readErr = err
		p.readDeadline.stopLocked()
		if p.arrival != nil {
			p.arrival.Stop()
		}
		if p.gone != nil {
			close(p.gone)
		}
		p.readable.Broadcast()
	}
	if p.readerGone == nil && word != nil {
		p.readerGone = word
		p.dropLocked()
		p.room.Broadcast()
	}
	p.unlinkLocked()
}

func (p *pipe) closeWriteLocked(err error) {
	if p.writeErr == nil {
		p.writeErr = err
		p.writeDeadline.stopLocked()
		p.room.Broadcast()
	}
	p.unlinkLocked()
}

func (p *pipe) endLocked(end error) {
	if p.readErr != nil {
		return
	}
	p.pushLocked(chunk{end: end, linked: p.link.arrival(1)})
	p.readable.Broadcast()
}

func (p *pipe) dropLocked() { p.dropFromLocked(p.head) }

// dropFromLocked drops the chunks of queue[from:].
func (p *pipe) dropFromLocked(from int) {
	for i := from; i < len(p.queue); i++ {
		c := &p.queue[i]
		p.size -= c.w - c.r
		c.recycle()
		*c = chunk{}
	}
	p.queue = p.queue[:from]
	if from == p.head {
		p.queue, p.head = p.queue[:0], 0
	}
}

// unlinkLocked forgets the pipe once neither end needs word of the link.
func (p *pipe) unlinkLocked() {
	if p.readErr != nil && p.writeErr != nil {
		p.dropLocked()
		p.link.remove(p)
		p.back.remove(p)
	}
}
