package simulation

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"fmt"

	"github.com/brokersim/brokersim/brokertest"
)

// A stage is a test for the cluster's sake: what fails on it is noted, and does
// not fail the real test, which may expect it (of a mutant).
type stage struct {
	brokertest.TB
	wrong func(format string, args ...any)

	mu       sync.Mutex
	failed   bool
	said     bytes.Buffer
	cleanups []func()
}

func (s *stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *stage) Output() io.Writer { return io.Discard }

func (s *stage) Logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.said, format+"\n", args...)
}

// Fatalf ends the goroutine that calls it, as a test's does.
func (s *stage) Fatalf(format string, args ...any) {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	s.wrong("%w", errors.New(strings.TrimSpace(fmt.Sprintf(format, args...))))
	runtime.Goexit()
}

// play runs f, which may call Fatalf, and returns when it has ended.
func (s *stage) play(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// clear takes everything away.
func (s *stage) clear() {
	s.mu.Lock()
	cleanups := slices.Clone(s.cleanups)
	s.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		s.play(f)
	}
}
