package event

import (
	"context"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A Log numbers events, finds their causes and keeps the newest ones in a ring.
// It is a Sink, has no goroutine, and is safe for concurrent use.
type Log struct {
	// wanted counts, for each frequent kind, who wants it recorded (Watch) and who
	// only wants to be woken by it (WakeOn). Copied on write, so that Wants is one load.
	wanted atomic.Pointer[map[Kind]interest]

	mu      sync.Mutex
	ring    []Event // the event with Seq s is at (s-1) % cap, once there are that many
	last    uint64  // Seq of the newest event; 0 while there is none
	offset  int64   // the newest metadata offset that EmitAt was given
	keys    map[Key]uint64
	changed chan struct{} // made when somebody waits; closed at the next event
	closed  bool
}

type interest struct{ record, wake int }

// frequent are the kinds that are emitted only to who asks for them.
var frequent = map[Kind]bool{HWAdvanced: true}

// NewLog returns a Log that remembers the newest capacity events.
func NewLog(capacity int) *Log {
	return &Log{ring: make([]Event, 0, max(1, capacity)), offset: -1, keys: map[Key]uint64{}}
}

// Emit records events and wakes readers. Time is filled in where it is zero.
func (l *Log) Emit(events ...Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emitLocked(events)
}

// EmitAt records what follows from the metadata entry at offset, unless it or a
// later entry was heard of already.
func (l *Log) EmitAt(offset int64, events ...Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset <= l.offset {
		return
	}
	l.offset = offset
	l.emitLocked(events)
}

func (l *Log) emitLocked(events []Event) {
	if l.closed || len(events) == 0 {
		return
	}
	for _, e := range events {
		if l.recorded(e.Kind) {
			l.recordLocked(e)
		}
	}
	l.wakeLocked()
}

func (l *Log) recordLocked(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	for _, k := range e.Because {
		if seq, ok := l.keys[k]; ok {
			e.Cause = seq
			break
		}
	}
	l.last++
	e.Seq = l.last
	if len(l.ring) < cap(l.ring) {
		l.ring = append(l.ring, e)
	} else {
		l.ring[(e.Seq-1)%uint64(len(l.ring))] = e
	}
	for _, k := range []Key{e.Key, e.Also} {
		if k != "" {
			l.keys[k] = e.Seq
		}
	}
	l.forgetLocked()
}

// forgetLocked drops the keys of events that left the ring, once there are as
// many keys as would fit twice. A cause that nobody can look up is no use.
func (l *Log) forgetLocked() {
	if len(l.keys) < 2*cap(l.ring) {
		return
	}
	oldest := l.oldestLocked()
	maps.DeleteFunc(l.keys, func(_ Key, seq uint64) bool { return seq < oldest })
}

func (l *Log) oldestLocked() uint64 { return l.last - uint64(len(l.ring)) + 1 }

func (l *Log) wakeLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Last is the number of the newest event, 0 while there is none.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// closedChannel would be a package-level channel, which virtual time forbids: so
// a closed Log makes a new closed one for whoever asks.
func closedChannel() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Changed returns a channel that is closed at the next event. To miss nothing,
// take it first and look at the world afterwards. After Close it is closed.
func (l *Log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changedLocked()
}

func (l *Log) changedLocked() <-chan struct{} {
	if l.closed {
		return closedChannel()
	}
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// Since yields every event after the one numbered seq (0: all that are still
// remembered), and waits for more until ctx or the Log ends. A reader who fell
// behind the ring gets one Lost with the count in place of what it missed.
func (l *Log) Since(ctx context.Context, seq uint64) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		next := seq
		for ctx.Err() == nil {
			batch, changed := l.after(next)
			if len(batch) == 0 {
				if changed == nil {
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			for _, e := range batch {
				if !yield(e) {
					return
				}
			}
			next = batch[len(batch)-1].Seq
		}
	}
}

// after returns some events that follow seq, or what to wait for if there are
// none: nil when there never will be.
func (l *Log) after(seq uint64) ([]Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq >= l.last {
		if l.closed {
			return nil, nil
		}
		return nil, l.changedLocked()
	}
	var batch []Event
	first := seq + 1
	if oldest := l.oldestLocked(); first < oldest {
		batch = append(batch, Event{
			Seq: oldest - 1, Time: l.atLocked(oldest).Time, Kind: Lost, Part: -1,
			Data: map[string]any{"count": oldest - first},
		})
		first = oldest
	}
	const atOnce = 256
	for s := first; s <= l.last && len(batch) < atOnce; s++ {
		batch = append(batch, l.atLocked(s))
	}
	return batch, nil
}

func (l *Log) atLocked(seq uint64) Event { return l.ring[(seq-1)%uint64(cap(l.ring))] }

// Newest returns up to n events, oldest first.
func (l *Log) Newest(n int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.ring))
	events := make([]Event, 0, n)
	for s := l.last - uint64(n) + 1; s <= l.last; s++ {
		events = append(events, l.atLocked(s))
	}
	return events
}

// Close ends the Log: what is emitted from now on is dropped, and every Since
// ends when it has yielded what is there. It may be called twice.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wakeLocked()
}

// Wants reports whether somebody wants events of this kind. Only frequent kinds
// (HWAdvanced) may be unwanted.
func (l *Log) Wants(kind Kind) bool {
	if !frequent[kind] {
		return true
	}
	wanted := l.wanted.Load()
	return wanted != nil && (*wanted)[kind] != interest{}
}

func (l *Log) recorded(kind Kind) bool {
	if !frequent[kind] {
		return true
	}
	wanted := l.wanted.Load()
	return wanted != nil && (*wanted)[kind].record > 0
}

// Watch asks for a frequent kind to be recorded until stop is called.
func (l *Log) Watch(kind Kind) (stop func()) { return l.ask(kind, interest{record: 1}) }

// WakeOn asks that a frequent kind close the Changed channel, without being
// recorded, until stop is called.
func (l *Log) WakeOn(kind Kind) (stop func()) { return l.ask(kind, interest{wake: 1}) }

func (l *Log) ask(kind Kind, by interest) (stop func()) {
	l.add(kind, by.record, by.wake)
	return sync.OnceFunc(func() { l.add(kind, -by.record, -by.wake) })
}

func (l *Log) add(kind Kind, record, wake int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := map[Kind]interest{}
	if now := l.wanted.Load(); now != nil {
		maps.Copy(next, *now)
	}
	next[kind] = interest{next[kind].record + record, next[kind].wake + wake}
	l.wanted.Store(&next)
}
