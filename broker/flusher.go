package broker

import (
	"context"
	"fmt"
	"time"
)

// A flusher keeps flush.ms: a record is synced at most so long after it was
// written, give or take a quarter. Topics that set none, which is the default,
// cost nothing. It has no goroutine but the one that calls run.
type flusher struct {
	replicas *replicaTable
	pass     func() error  // the gate
	wake     chan struct{} // one slot: configs changed

	dirty map[*hosted]unsynced
}

// unsynced is what the flusher knows of a log with records that it has not synced.
type unsynced struct {
	end   int64     // everything below is synced
	since time.Time // when more than that was seen; zero: there is no more
}

func newFlusher(replicas *replicaTable, pass func() error) *flusher {
	return &flusher{replicas: replicas, pass: pass, wake: make(chan struct{}, 1), dirty: map[*hosted]unsynced{}}
}

// configured makes the flusher look at the configs again. It never blocks.
func (f *flusher) configured() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run syncs logs until ctx ends or a sync fails.
func (f *flusher) run(ctx context.Context) error {
	for {
		var due <-chan time.Time
		if shortest := f.shortest(); shortest < maxFlushInterval {
			due = time.After(max(shortest/4, time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.wake:
		case <-due:
		}
		if err := f.pass(); err != nil {
			return err
		}
		if err := f.flush(time.Now()); err != nil {
			return err
		}
	}
}

// From here on flush.ms means never.
const maxFlushInterval = 365 * 24 * time.Hour

// shortest is the smallest flush.ms of any replica.
func (f *flusher) shortest() time.Duration {
	shortest := maxFlushInterval
	for h := range f.replicas.each() {
		shortest = min(shortest, h.flushInterval())
	}
	return shortest
}

// flush syncs what is due.
func (f *flusher) flush(now time.Time) error {
	seen := make(map[*hosted]unsynced, len(f.dirty))
	for h := range f.replicas.each() {
		interval := h.flushInterval()
		if interval >= maxFlushInterval {
			continue
		}
		state, end := f.dirty[h], h.log.LogEndOffset()
		switch {
		case end == state.end:
			state.since = time.Time{}
		case state.since.IsZero():
			state.since = now
		case now.Sub(state.since) >= interval:
			if err := h.log.Sync(); err != nil {
				return fmt.Errorf("syncing the log %s: %w", h.dir, err)
			}
			state = unsynced{end: end}
		}
		seen[h] = state
	}
	f.dirty = seen
	return nil
}

// flushInterval is flush.ms of the replica's topic; 0 is as soon as can be.
func (h *hosted) flushInterval() time.Duration { return h.config.Load().FlushInterval }
