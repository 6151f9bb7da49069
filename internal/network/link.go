package network

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A link is one direction between two hosts. All connections between them
// share it, and with it the faults in force and the bandwidth.
type link struct {
	network  *Network
	from, to string
	shape    atomic.Pointer[shape] // nil: nothing is in force, the usual case

	mu    sync.Mutex
	pipes map[*pipe]struct{}
	busy  time.Time // when the bytes already accepted have passed a limited bandwidth
	rng   *rand.Rand
}

// A shape is the sum of the faults in force on a link. It never changes.
type shape struct {
	held        bool
	delay       time.Duration
	jitter      time.Duration
	bytesPerSec int // 0: no limit
	hooks       []*interceptor
}

// held reports whether bytes stay where they are.
func (l *link) held() bool {
	s := l.shape.Load()
	return s != nil && s.held
}

// hooks returns who wants to see the messages of this direction.
func (l *link) hooks() []*interceptor {
	if s := l.shape.Load(); s != nil {
		return s.hooks
	}
	return nil
}

// arrival says when n bytes that are sent now arrive; zero: at once.
func (l *link) arrival(n int) time.Time {
	s := l.shape.Load()
	if s == nil || s.delay == 0 && s.jitter == 0 && s.bytesPerSec == 0 {
		return time.Time{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now()
	if s.bytesPerSec > 0 {
		if l.busy.Before(at) {
			l.busy = at
		}
		l.busy = l.busy.Add(time.Duration(float64(n) / float64(s.bytesPerSec) * float64(time.Second)))
		at = l.busy
	}
	return at.Add(l.delayLocked(s))
}

// delay draws the time that one packet takes now.
func (l *link) delay() time.Duration {
	s := l.shape.Load()
	if s == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delayLocked(s)
}

func (l *link) delayLocked(s *shape) time.Duration {
	d := s.delay
	if s.jitter > 0 {
		d += time.Duration(l.rng.Int64N(int64(s.jitter)))
	}
	return d
}

func (l *link) add(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pipes[p] = struct{}{}
}

func (l *link) remove(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pipes, p)
}

// changed makes everything under way look at the link's new shape.
func (l *link) changed() {
	l.mu.Lock()
	l.busy = time.Time{}
	pipes := make([]*pipe, 0, len(l.pipes))
	for p := range l.pipes {
		pipes = append(pipes, p)
	}
	l.mu.Unlock()
	for _, p := range pipes {
		p.reshape()
	}
}
