package brokersim

import (
	"slices"
	"sync"
	"time"

	"github.com/brokersim/brokersim/event"
)

// A Fault is in force until Heal is called, the cluster closes, or Cluster.Heal.
type Fault struct {
	id    int
	what  string
	from  time.Time
	heal  func()
	owner *faults
	err   error
	spent func() bool // nil: it lasts
}

// Heal ends the fault. It may be called twice, and from several goroutines.
func (f *Fault) Heal() {
	if f.owner.forget(f) {
		f.heal()
		f.owner.events.Emit(event.Event{
			Kind: event.FaultHealed, Part: -1, Because: []event.Key{event.FaultKey(f.id)},
			Data: map[string]any{"fault": f.id, "what": f.what},
		})
	}
}

// Err says why the fault could not be injected, as when a node that it names
// does not exist; such a fault does nothing.
func (f *Fault) Err() error { return f.err }

// String says what the fault does, as in "broker 2 is cut from brokers 1, 3".
func (f *Fault) String() string { return f.what }

// faults are those in force. Its lock is a leaf.
type faults struct {
	events event.Sink

	mu   sync.Mutex
	next int
	now  []*Fault
}

// inject notes a fault that is in force already; heal undoes it. A fault that
// befalls one node names it, so that what follows finds its cause.
func (fs *faults) inject(node, what string, heal func()) *Fault {
	fs.mu.Lock()
	fs.next++
	f := &Fault{id: fs.next, what: what, from: time.Now(), heal: heal, owner: fs}
	fs.now = append(fs.now, f)
	fs.mu.Unlock()
	e := event.Event{
		Kind: event.FaultInjected, Node: node, Part: -1, Key: event.FaultKey(f.id),
		Data: map[string]any{"fault": f.id, "what": what},
	}
	if node != "" {
		e.Also = event.ProcessKey(node)
	}
	fs.events.Emit(e)
	return f
}

// until says when the fault has spent itself; Heal is still allowed then.
func (f *Fault) until(spent func() bool) *Fault {
	f.owner.mu.Lock()
	defer f.owner.mu.Unlock()
	f.spent = spent
	return f
}

// forget reports whether f was in force; it is not any more.
func (fs *faults) forget(f *Fault) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	i := slices.Index(fs.now, f)
	if i < 0 {
		return false
	}
	fs.now = slices.Delete(fs.now, i, i+1)
	return true
}

// healAll ends every fault in force, newest first.
func (fs *faults) healAll() {
	fs.mu.Lock()
	now := slices.Clone(fs.now)
	fs.mu.Unlock()
	for _, f := range slices.Backward(now) {
		f.Heal()
	}
}

func (fs *faults) states() []FaultState {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	var states []FaultState
	for _, f := range fs.now {
		if f.spent == nil || !f.spent() {
			states = append(states, FaultState{ID: f.id, What: f.what, From: f.from})
		}
	}
	return states
}

// impossible is a fault that does nothing and says why.
func (fs *faults) impossible(err error) *Fault {
	return &Fault{what: err.Error(), heal: func() {}, owner: fs, err: err}
}
