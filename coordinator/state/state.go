package state

import "github.com/brokersim/brokersim/metadata"

// State is what every coordinator node holds after the same commands.
type State struct {
	image    *metadata.Image
	defaults *metadata.BrokerConfig
}

// New returns the state before the first command. defaults must be the same on
// every coordinator node: elections depend on min.insync.replicas and
// unclean.leader.election.enable.
func New(clusterID string, defaults *metadata.BrokerConfig) *State {
	return &State{image: metadata.NewImage(clusterID), defaults: defaults}
}

// Decode reads the state that AppendTo wrote, a Raft snapshot.
func Decode(b []byte, defaults *metadata.BrokerConfig) (*State, error) { panic("not built yet") }

// AppendTo appends the state, for a Raft snapshot.
func (s *State) AppendTo(dst []byte) []byte { panic("not built yet") }

// Image returns the newest image. Safe for concurrent use with Apply.
func (s *State) Image() *metadata.Image { return s.image }

// Apply makes the change that c asks for; offset is the Raft index of its entry.
// It is deterministic. One goroutine at a time.
func (s *State) Apply(offset int64, c Command) Result { panic("not built yet") }
