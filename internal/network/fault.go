package network

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A fault is a rule in force on the directions that it matches.
type fault struct {
	matches func(from, to string) bool
	apply   func(*shape)
	end     func() // what else stops with it
}

// Cut holds every byte between a and b, both ways. Nothing is lost: as with
// TCP, what was sent arrives after the heal. Dials hang.
func (n *Network) Cut(a, b []string) (heal func()) {
	return n.add(&fault{matches: between(a, b), apply: func(s *shape) { s.held = true }})
}

// OneWay holds every byte from one side to the other only.
func (n *Network) OneWay(from, to []string) (heal func()) {
	return n.add(&fault{matches: along(from, to), apply: func(s *shape) { s.held = true }})
}

// Latency delays every byte between a and b by d plus up to jitter, in each
// direction. The order is kept. Several latencies add up.
func (n *Network) Latency(a, b []string, d, jitter time.Duration) (heal func()) {
	return n.add(&fault{matches: between(a, b), apply: func(s *shape) {
		s.delay += max(d, 0)
		s.jitter += max(jitter, 0)
	}})
}

// Bandwidth limits each link between a and b, in each direction, to
// bytesPerSec, at least 1. The smallest of several limits holds.
func (n *Network) Bandwidth(a, b []string, bytesPerSec int) (heal func()) {
	limit := max(bytesPerSec, 1)
	return n.add(&fault{matches: between(a, b), apply: func(s *shape) {
		if s.bytesPerSec == 0 || limit < s.bytesPerSec {
			s.bytesPerSec = limit
		}
	}})
}

// Intercept shows requests of that API key, on their way from one side to the
// other, to do; through its verdict also their responses. It reads memory
// connections of listeners that are framed, and TCP connections.
func (n *Network) Intercept(from, to []string, apiKey int16, do Action) (heal func()) {
	hook := &interceptor{key: apiKey, do: do}
	return n.add(&fault{matches: along(from, to), apply: func(s *shape) { s.hooks = append(s.hooks, hook) }})
}

// lossTick is how often Loss draws.
const lossTick = 100 * time.Millisecond

// Loss resets each connection between a and b with probability perSecond in
// every second.
func (n *Network) Loss(a, b []string, perSecond float64) (heal func()) {
	matches := between(a, b)
	rng := rand.New(rand.NewPCG(n.seed, 0x1055))
	p := 1 - math.Pow(1-min(max(perSecond, 0), 1), lossTick.Seconds())

	var mu sync.Mutex // guards ended, timer and rng
	var timer *time.Timer
	ended := false
	tick := func() {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return
		}
		for _, e := range n.matching(matches) {
			if rng.Float64() < p {
				e.abort()
			}
		}
		timer.Reset(lossTick)
	}
	mu.Lock()
	timer = time.AfterFunc(lossTick, tick)
	mu.Unlock()
	return n.add(&fault{matches: matches, apply: func(*shape) {}, end: func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
		timer.Stop()
	}})
}

// add puts a fault in force. The returned function takes it back, once.
func (n *Network) add(f *fault) (heal func()) {
	if f.end == nil {
		f.end = func() {}
	}
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		f.end()
		return func() {}
	}
	n.faults = append(n.faults, f)
	n.mu.Unlock()
	n.reshape()
	return sync.OnceFunc(func() {
		n.mu.Lock()
		n.faults = slices.DeleteFunc(n.faults, func(g *fault) bool { return g == f })
		n.mu.Unlock()
		f.end()
		n.reshape()
	})
}

// reshape computes every link anew and tells who waits on one that changed.
func (n *Network) reshape() {
	n.mu.Lock()
	var touched []*link
	for _, l := range n.links {
		now := n.shapeLocked(l.from, l.to)
		if now == nil && l.shape.Load() == nil {
			continue
		}
		l.shape.Store(now)
		touched = append(touched, l)
	}
	n.wakeDialsLocked()
	n.mu.Unlock()
	for _, l := range touched {
		l.changed()
	}
}

// shapeLocked sums up the faults on one direction; nil: there are none.
func (n *Network) shapeLocked(from, to string) *shape {
	var s *shape
	for _, f := range n.faults {
		if f.matches(from, to) {
			if s == nil {
				s = &shape{}
			}
			f.apply(s)
		}
	}
	return s
}

// matching returns one end of every connection that runs along a match, in a
// fixed order, so that a seed means the same draw each time.
func (n *Network) matching(matches func(from, to string) bool) []end {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ends []end
	for _, h := range n.hosts {
		for e := range h.ends {
			if from, to := e.route(); e.dialed() && matches(from, to) {
				ends = append(ends, e)
			}
		}
	}
	slices.SortFunc(ends, func(a, b end) int { return a.serial() - b.serial() })
	return ends
}

func along(from, to []string) func(from, to string) bool {
	from, to = slices.Clone(from), slices.Clone(to)
	return func(a, b string) bool { return slices.Contains(from, a) && slices.Contains(to, b) }
}

func between(a, b []string) func(from, to string) bool {
	there, back := along(a, b), along(b, a)
	return func(from, to string) bool { return there(from, to) || back(from, to) }
}
