package state

import (
	"sync/atomic"

	"github.com/brokersim/brokersim/metadata"
)

// State is what every coordinator node holds after the same commands.
type State struct {
	image    atomic.Pointer[metadata.Image]
	defaults *metadata.BrokerConfig
}

// New returns the state before the first command. defaults must be the same on
// every coordinator node: elections depend on min.insync.replicas and
// unclean.leader.election.enable.
func New(clusterID string, defaults *metadata.BrokerConfig) *State {
	s := &State{defaults: defaults}
	s.image.Store(metadata.NewImage(clusterID))
	return s
}

// Decode reads the state that AppendTo wrote, or returns metadata.ErrMalformed.
func Decode(b []byte, defaults *metadata.BrokerConfig) (*State, error) {
	image, err := metadata.DecodeImage(b)
	if err != nil {
		return nil, err
	}
	s := &State{defaults: defaults}
	s.image.Store(image)
	return s, nil
}

// AppendTo appends the state, for a Raft snapshot. The image is all of it, so the
// bytes are those that a broker gets too when it is far behind.
func (s *State) AppendTo(dst []byte) []byte { return s.Image().AppendTo(dst) }

// Image returns the newest image. Safe for concurrent use with Apply.
func (s *State) Image() *metadata.Image { return s.image.Load() }

// Apply makes the change that c asks for; offset is the Raft index of its entry
// and higher than every one before. It is deterministic: equal states that are
// given equal commands stay equal, byte for byte. One goroutine at a time.
func (s *State) Apply(offset int64, c Command) Result {
	w := newWork(s.Image(), s.defaults, offset)
	c.apply(w)
	if len(w.result.Deltas) > 0 {
		s.image.Store(w.image.Apply(offset, w.result.Deltas))
	}
	return w.result
}
