package network

import "time"

// A Message is one Kafka request or response on its way.
type Message struct {
	From, To      string
	Key, Version  int16
	CorrelationID int32
	Response      bool
	Frame         []byte // header and body, without the length; only valid during the call
}

// An Action decides about one message. It is called by whoever writes the
// message and must not block: to hold a message, return Until.
type Action func(Message) Verdict

// A Verdict says what happens to a message. The zero Verdict lets it pass.
// What follows a message that is late on the same connection is late too: a
// connection keeps its order.
type Verdict struct {
	Delay time.Duration
	Until <-chan struct{} // hold it until this is closed

	// Drop swallows the message and resets the connection.
	Drop bool
	// Answer swallows a request and sends this frame (without the length) as
	// its response, after the responses that the client waits for already.
	Answer []byte
	// OnResponse decides about the response of this request.
	OnResponse Action
}

// Delay lets each message arrive later by d.
func Delay(d time.Duration) Action {
	return func(Message) Verdict { return Verdict{Delay: d} }
}

// DropRequest swallows the request, which so has no effect, and resets the connection.
func DropRequest(Message) Verdict { return Verdict{Drop: true} }

// DropResponse lets the request have its effect, swallows the answer and
// resets the connection.
func DropResponse(Message) Verdict {
	return Verdict{OnResponse: func(Message) Verdict { return Verdict{Drop: true} }}
}

// Answer swallows requests and answers what encode makes of them; both frames
// are without the length.
func Answer(encode func(request []byte) (response []byte)) Action {
	return func(m Message) Verdict { return Verdict{Answer: encode(m.Frame)} }
}

// An interceptor is an Action in force on some links.
type interceptor struct {
	key int16
	do  Action
}

// An answer is a response that an interceptor made up: a frame with its length.
type answer struct {
	frame []byte
	hold  hold
}

// holdOf turns what a verdict says about time into a hold that begins now.
func holdOf(v Verdict) hold {
	h := hold{until: v.Until}
	if v.Delay > 0 {
		h.notBefore = time.Now().Add(v.Delay)
	}
	return h
}

// writeMessagesLocked writes b message by message: one is kept back until it
// is whole, so that the interceptors can judge it.
func (p *pipe) writeMessagesLocked(b []byte) (n int, err error) {
	whole := len(b)
	for len(b) > 0 {
		p.mu.Unlock() // actions are not called under a lock
		piece, verdict, rest := p.frames.next(b, p.link)
		p.mu.Lock()
		n += len(b) - len(rest)
		b = rest
		if verdict.Drop {
			p.mu.Unlock()
			p.frames.exchange.reset()
			p.mu.Lock()
			return whole, nil // the writer learns of it as of any reset: later
		}
		if len(piece) > 0 {
			h := holdOf(verdict)
			p.watchLocked(h.until)
			if _, err := p.putLocked(piece, h); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// watchLocked wakes the reader when until is closed. The goroutine ends with
// the reader's end at the latest.
func (p *pipe) watchLocked(until <-chan struct{}) {
	if until == nil || p.readErr != nil {
		return
	}
	if p.gone == nil {
		p.gone = make(chan struct{})
	}
	gone := p.gone
	p.link.network.wg.Go(func() {
		select {
		case <-until:
			p.wakeReaders()
		case <-gone:
		}
	})
}

// inject sends answers between two messages of the pipe.
func (p *pipe) inject(answers []answer) {
	if len(answers) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.injected = append(p.injected, answers...)
	if !p.writing {
		p.flushInjectedLocked()
		p.announceLocked()
	}
}

// flushInjectedLocked queues the answers that wait, if no message is half
// written. It goes beyond the pipe's limit rather than wait.
func (p *pipe) flushInjectedLocked() {
	if p.frames != nil && len(p.frames.due) > 0 {
		p.injected = append(p.injected, p.frames.due...)
		p.frames.due = nil
	}
	if len(p.injected) == 0 || p.writeErr != nil || p.frames != nil && !p.frames.between() {
		return
	}
	for _, a := range p.injected {
		p.watchLocked(a.hold.until)
		p.appendLocked(a.frame, a.hold)
	}
	p.injected = nil
}
