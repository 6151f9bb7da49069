package broker

import (
	"sync"
	"time"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// A fetchSession is what one fetcher wants, remembered between its requests
// (KIP-227), and which of its partitions may have news: the queue. A replica
// that changes puts its partition into the queue; a request looks only at what is
// queued. So a follower of ten thousand partitions pays for the few that move.
//
// A fetch without a session uses one too, for as long as the request lasts.
//
// One request uses a session at a time; only the queue is shared with the
// replicas, and mu guards it. No call leaves this file with mu held.
type fetchSession struct {
	id         int32 // 0: of one request only
	byID       bool  // its topics have ids (Fetch version 13 and above)
	follower   int32 // the broker that fetches; -1: a consumer
	registered int64 // its broker epoch, -1 if it says none
	number     int64 // of this broker's sessions, in the order in which they began

	// Guarded by fetchSessions.mu.
	epoch   int32 // that the next request must have
	busy    bool  // a request is using it
	gone    bool  // removed while busy: whoever uses it closes it
	created time.Time
	used    time.Time // when the last request ended
	size    int       // partitions, as of the last request

	parts    map[fetchKey]*fetchPartition
	watching bool          // replicas tell of their news
	wake     chan struct{} // one slot: something was queued

	mu    sync.Mutex
	queue []*fetchPartition
	head  int // of the queue; what lies before it is free
}

// A fetchKey names a partition as the session's requests do.
type fetchKey struct {
	id        metadata.UUID // zero if the session goes by names
	name      string        // "" if it goes by ids
	partition int32
}

// A fetchPartition is one partition of a session.
type fetchPartition struct {
	session *fetchSession
	key     fetchKey

	// As the fetcher asked.
	offset       int64
	logStart     int64 // the follower's
	maxBytes     int
	currentEpoch int32 // -1: not said
	lastEpoch    int32 // of the record before offset; -1: not said

	// What it was told last; -1 after an error or a divergence, so that their end is news.
	toldHW, toldLogStart int64

	name    string               // the topic's, as far as it was ever known
	replica *replication.Replica // that tells of its news, nil if none is hosted

	look look // of the request that is being answered

	named bool // by a request, and not looked at since

	queued    bool // guarded by session.mu
	forgotten bool // guarded by session.mu; still in the queue perhaps
}

func newFetchSession(byID bool, follower int32) *fetchSession {
	return &fetchSession{
		byID: byID, follower: follower,
		parts: map[fetchKey]*fetchPartition{}, wake: make(chan struct{}, 1),
	}
}

// want adds a partition, or returns the one that is there.
func (s *fetchSession) want(key fetchKey) *fetchPartition {
	p := s.parts[key]
	if p == nil {
		p = &fetchPartition{session: s, key: key, name: key.name, toldHW: -1, toldLogStart: -1}
		s.parts[key] = p
	}
	return p
}

// forget drops a partition.
func (s *fetchSession) forget(key fetchKey) {
	p := s.parts[key]
	if p == nil {
		return
	}
	delete(s.parts, key)
	p.watch(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	p.forgotten = true
}

// close ends every subscription. No request may be using the session.
func (s *fetchSession) close() {
	s.watching = false
	for _, p := range s.parts {
		p.watch(nil)
	}
}

// watch moves the partition's subscription to r.
func (p *fetchPartition) watch(r *replication.Replica) {
	if p.replica == r {
		return
	}
	if p.replica != nil {
		p.replica.Unsubscribe(p)
	}
	if p.replica = r; r != nil {
		r.Subscribe(p)
	}
}

// News queues the partition and wakes a request that waits for this. It is called by
// whoever changed the replica. Consumers may not read what is not committed, so the
// log's end is nothing to them; followers hear of the high watermark with what they are
// sent next, so it is no reason to wake them.
func (p *fetchPartition) News(_ *replication.Replica, what replication.Change) {
	s := p.session
	consumer := s.follower < 0
	if consumer && what == replication.LogEndMoved {
		return
	}
	s.push(p)
	if !consumer && what == replication.HighWatermarkMoved {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// push puts p at the end of the queue, if it is not in it.
func (s *fetchSession) push(p *fetchPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.queued || p.forgotten {
		return
	}
	p.queued = true
	if s.head > len(s.queue)/2 { // at most half of it is free space
		s.queue = s.queue[:copy(s.queue, s.queue[s.head:])]
		s.head = 0
	}
	s.queue = append(s.queue, p)
}

// pushFront puts p at the head of the queue, if it is not in it.
func (s *fetchSession) pushFront(p *fetchPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.queued || p.forgotten {
		return
	}
	p.queued = true
	if s.head == 0 { // as much room as there is queue, so that many cost no more than one
		room := len(s.queue) + 8
		queue := make([]*fetchPartition, room+len(s.queue), 2*(room+len(s.queue)))
		copy(queue[room:], s.queue)
		s.queue, s.head = queue, room
	}
	s.head--
	s.queue[s.head] = p
}

// pop takes the partition at the head of the queue; nil if the queue is empty.
func (s *fetchSession) pop() *fetchPartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.head < len(s.queue) {
		p := s.queue[s.head]
		s.queue[s.head] = nil
		s.head++
		if p.queued = false; !p.forgotten {
			return p
		}
	}
	s.queue, s.head = s.queue[:0], 0
	return nil
}

// waiting is the length of the queue.
func (s *fetchSession) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) - s.head
}
