package broker

import (
	"context"
	"sync"
	"time"
)

// A scrubber reads, once after a start, what recovery had no need to read: what was
// durable long ago. A bit that has flipped there would otherwise be found by the first
// client that asks for it, perhaps when this replica is the last one. Kafka has no
// such thing. It goes slowly, and has no goroutine but the one that calls run.
type scrubber struct {
	pass func() error  // the gate
	wake chan struct{} // one slot

	mu    sync.Mutex
	queue []unread
}

// unread is the part of a log below an offset.
type unread struct {
	log  *hosted
	upTo int64
}

// So much is read at once, and so much time is left between: at most 100 MiB a second.
const (
	scrubBytes = 1 << 20
	scrubPause = 10 * time.Millisecond
)

func newScrubber(pass func() error) *scrubber {
	return &scrubber{pass: pass, wake: make(chan struct{}, 1)}
}

// add has the log of a replica scrubbed below an offset. It never blocks.
func (s *scrubber) add(h *hosted, upTo int64) {
	if upTo <= h.log.LogStartOffset() {
		return
	}
	s.mu.Lock()
	s.queue = append(s.queue, unread{h, upTo})
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run scrubs until ctx ends.
func (s *scrubber) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
		}
		buf, read := make([]byte, 0, scrubBytes), 0
		for _, u := range s.take() {
			for from := int64(0); from < u.upTo; {
				if err := s.pass(); err != nil {
					return err
				}
				next, n, err := u.log.replica.Scrub(buf, from, u.upTo)
				if err != nil || next <= from {
					break // the replica has told of it, or the log was cut off
				}
				if from, read = next, read+n; read < scrubBytes/2 {
					continue // of many small logs several are read at once
				}
				read = 0
				if err := sleep(ctx, scrubPause); err != nil {
					return err
				}
			}
		}
	}
}

func (s *scrubber) take() []unread {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	return queue
}
