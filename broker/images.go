package broker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/brokersim/brokersim/metadata"
)

var errClosed = errors.New("the broker is closed")

// images holds the states of the cluster that the broker has come to. A change
// has two moments: when it is learned, the replicas may use it; when it is
// published, they have all been told of it, and the world may see it. So a
// client that is shown a new leader finds it leading.
type images struct {
	learned   atomic.Pointer[metadata.Image]
	published atomic.Pointer[metadata.Image]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by publish
}

func newImages(empty *metadata.Image) *images {
	s := &images{changed: make(chan struct{})}
	s.learned.Store(empty)
	s.published.Store(empty)
	return s
}

// publish makes im what everybody sees and wakes who waits for news.
func (s *images) publish(im *metadata.Image) {
	s.published.Store(im)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// news is closed by the next publish.
func (s *images) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// until waits until a published image satisfies cond. It returns early with the
// cause of ctx's end, or with errClosed once done is closed.
func (s *images) until(ctx context.Context, done <-chan struct{}, cond func(*metadata.Image) bool) error {
	for {
		news := s.news()
		if cond(s.published.Load()) {
			return nil
		}
		select {
		case <-news:
		case <-done:
			return errClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
