package broker

import (
	"context"
	"sync"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

// removals deletes the logs of dropped replicas behind everybody's back: a topic
// of many partitions takes a while to delete. What is left when the broker ends is
// found, and seen to be stale, at its next start. It has no goroutine but the one
// that calls run.
type removals struct {
	disk   vfs.FS
	before func() error // takes note that logs will be missing
	failed func(error)
	forget func(topicPartition) error // what is known of a log whose directory goes; nil: nothing
	wake   chan struct{}              // one slot

	mu    sync.Mutex
	queue []removal
	gone  map[string]chan struct{} // by directory; closed when it has been removed
	ended bool                     // nothing is removed any more
}

type removal struct {
	dir string
	log *partition.Log
}

func newRemovals(disk vfs.FS, before func() error, failed func(error)) *removals {
	return &removals{disk: disk, before: before, failed: failed, wake: make(chan struct{}, 1), gone: map[string]chan struct{}{}}
}

// add has a log closed and its directory removed.
func (r *removals) add(dir string, log *partition.Log) {
	r.mu.Lock()
	ended := r.ended
	if !ended {
		r.queue = append(r.queue, removal{dir, log})
		r.gone[dir] = make(chan struct{})
	}
	r.mu.Unlock()
	if ended {
		log.Close()
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// wait returns once dir is free for a new log, or the broker ends.
func (r *removals) wait(dir string) {
	r.mu.Lock()
	gone := r.gone[dir]
	r.mu.Unlock()
	if gone != nil {
		<-gone
	}
}

// run removes logs until ctx ends; those left then are closed.
func (r *removals) run(ctx context.Context) error {
	defer r.end()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.wake:
		}
		if err := r.before(); err != nil {
			r.failed(err)
			return err
		}
		for next, ok := r.take(); ok; next, ok = r.take() {
			if err := r.remove(next); err != nil {
				r.failed(err)
				return err
			}
		}
	}
}

func (r *removals) take() (removal, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return removal{}, false
	}
	next := r.queue[0]
	r.queue = r.queue[1:]
	return next, true
}

func (r *removals) remove(next removal) error {
	next.log.Close()
	var err error
	if tp, ok := parseLogDir(next.dir); ok && r.forget != nil {
		err = r.forget(tp)
	}
	if err == nil {
		err = vfs.RemoveAll(r.disk, next.dir)
	}
	if err == nil {
		err = r.disk.SyncDir(".")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.gone[next.dir])
	delete(r.gone, next.dir)
	return err
}

// end closes what was not removed and lets go of who waits.
func (r *removals) end() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	for next, ok := r.take(); ok; next, ok = r.take() {
		next.log.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, gone := range r.gone {
		close(gone)
	}
	clear(r.gone)
}
