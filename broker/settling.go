package broker

import (
	"context"
	"sync"

	"github.com/brokersim/brokersim/replication"
)

// settling lets replicas take the roles that the metadata log gave them where
// that needs the disk: a new leader writes down where its epoch begins. The
// metadata follower must not wait for that. It has no goroutine but the one that
// calls run.
type settling struct {
	wake chan struct{} // one slot

	mu    sync.Mutex
	queue []*replication.Replica
}

func newSettling() *settling { return &settling{wake: make(chan struct{}, 1)} }

// add has a replica settled soon. It never blocks.
func (s *settling) add(r *replication.Replica) {
	s.mu.Lock()
	s.queue = append(s.queue, r)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run settles replicas until ctx ends.
func (s *settling) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.wake:
		}
		for _, r := range s.take() {
			r.Settle()
		}
	}
}

func (s *settling) take() []*replication.Replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	return queue
}
