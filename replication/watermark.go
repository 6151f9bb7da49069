package replication

import (
	"context"
	"slices"
	"sync"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// A Watermark is the high watermark as those see it who wait for it. It belongs
// to one leader epoch after another, and so does a wait: that offset 42 is
// committed under leader epoch 3 says nothing about a record that was put there
// under epoch 2. The zero value is closed. Safe for concurrent use.
type Watermark struct {
	mu     sync.Mutex // a leaf: nothing is called or waited for under it
	mark   mark
	waited chan struct{} // closed when mark changes; nil while nobody waits
	counts []tallied     // by tallies
}

// A mark is one state of a Watermark.
type mark struct {
	open   bool  // this replica leads
	epoch  int32 // in this leader epoch
	offset int64
	short  bool // the ISR is smaller than min.insync.replicas
}

// set publishes a new state and wakes every waiter.
func (w *Watermark) set(m mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mark == m {
		return
	}
	w.mark = m
	w.counts = slices.DeleteFunc(w.counts, func(c tallied) bool {
		ends, _ := c.ends(m)
		if ends {
			c.tally.ended()
		}
		return ends
	})
	if w.waited != nil {
		close(w.waited)
		w.waited = nil
	}
}

// Wait returns nil once everything before offset is committed in the given leader
// epoch. Errors: ErrNotLeaderOrFollower when the epoch is over,
// ErrNotEnoughReplicasAfterAppend when the ISR is below min.insync.replicas,
// ErrRequestTimedOut when ctx ends first. What is true at once wins over ctx.
func (w *Watermark) Wait(ctx context.Context, epoch int32, offset int64) error {
	return w.wait(ctx, epoch, offset, guard.MinISRAfterAppend.Holds())
}

// WaitPassed is Wait for who does not mind how many replicas are in sync.
func (w *Watermark) WaitPassed(ctx context.Context, epoch int32, offset int64) error {
	return w.wait(ctx, epoch, offset, false)
}

func (w *Watermark) wait(ctx context.Context, epoch int32, offset int64, minISR bool) error {
	g := goal{epoch, offset, minISR}
	for {
		m, changed := w.look(epoch, offset)
		if ends, err := g.ends(m); ends {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return metadata.ErrRequestTimedOut
		}
	}
}

// ended reports whether a wait for g would end at once, and how.
func (w *Watermark) ended(g goal) (ended bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return g.ends(w.mark)
}

// A goal is what somebody waits for.
type goal struct {
	epoch  int32
	offset int64
	minISR bool // give up if the ISR is too small
}

// ends reports whether a wait for g ends in this state, and how.
func (g goal) ends(m mark) (ends bool, err error) {
	switch {
	case (!m.open || m.epoch != g.epoch) && guard.WaitInEpoch.Holds():
		return true, metadata.ErrNotLeaderOrFollower
	case m.short && g.minISR:
		return true, metadata.ErrNotEnoughReplicasAfterAppend
	case m.open && m.offset >= g.offset || !guard.AckAfterCommit.Holds():
		return true, nil
	}
	return false, nil
}

// look returns the current state and, if it is not the one waited for, a channel
// that is closed when it changes.
func (w *Watermark) look(epoch int32, offset int64) (mark, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mayCome := w.mark.open && w.mark.epoch == epoch && w.mark.offset < offset || !guard.WaitInEpoch.Holds()
	if w.waited == nil && mayCome {
		w.waited = make(chan struct{})
	}
	return w.mark, w.waited
}
