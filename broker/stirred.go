package broker

import "sync"

// stirred are the replicas in which something has happened since they were last
// ticked: the ticker looks at no others, and the checkpointer writes nothing while
// there are none. So an idle broker costs the same however many logs it has.
type stirred struct {
	mu    sync.Mutex
	list  []*hosted
	turns uint64 // grows whenever the list does and whenever it is taken
}

// add is called by a replica, once until it is ticked. It never blocks.
func (s *stirred) add(h *hosted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, h)
	s.turns++
}

// take returns who was added since the last call.
func (s *stirred) take() []*hosted {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	if len(list) > 0 {
		s.list, s.turns = nil, s.turns+1
	}
	return list
}

// since reports whether anything may have happened after an earlier call returned
// turns, and returns what to ask with the next time. It is to be called before what
// has happened is looked at.
func (s *stirred) since(turns uint64) (now uint64, something bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns, s.turns != turns || len(s.list) > 0
}
