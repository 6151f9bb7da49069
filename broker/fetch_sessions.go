package broker

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// Kafka's limits for the sessions of clients.
const (
	maxClientSessions = 1000
	sessionIdleMax    = 2 * time.Minute // idle or old for this long, a session may be evicted
)

// Session epochs that mean something.
const (
	newSessionEpoch int32 = 0  // begin a session, end the one that is named
	noSessionEpoch  int32 = -1 // no session, end the one that is named
)

// fetchSessions are the sessions of one broker. Clients share 1000 slots: a new
// session takes a free one, or that of a session that was idle for two minutes,
// or that of one which is two minutes old and smaller; else it is declined, and
// the client sends everything with each fetch. A follower always gets a session,
// one for each broker, which takes no slot.
type fetchSessions struct {
	mu        sync.Mutex
	byID      map[int32]*fetchSession
	followers map[int32]*fetchSession // by broker
	clients   int
	rng       *rand.Rand
	begun     atomic.Int64 // sessions, those of one request included
}

// init makes the ids of this incarnation differ from those of the one before, so
// that a session of that one is not mistaken for one of this.
func (c *fetchSessions) init(seed uint64, now time.Time) {
	c.byID, c.followers = map[int32]*fetchSession{}, map[int32]*fetchSession{}
	c.rng = rand.New(rand.NewPCG(seed, uint64(now.UnixNano())))
}

// open gives s a slot and an id, with s in use; false if it is declined.
func (c *fetchSessions) open(s *fetchSession, now time.Time) bool {
	c.mu.Lock()
	evicted, ok := c.openLocked(s, now)
	c.mu.Unlock()
	if evicted != nil {
		evicted.close()
	}
	return ok
}

func (c *fetchSessions) openLocked(s *fetchSession, now time.Time) (evicted *fetchSession, ok bool) {
	switch {
	case s.follower >= 0:
		evicted = c.removeLocked(c.followers[s.follower])
		c.followers[s.follower] = s
	case c.clients >= maxClientSessions:
		victim := c.victimLocked(s, now)
		if victim == nil {
			return nil, false
		}
		evicted = c.removeLocked(victim)
	}
	for s.id == 0 || c.byID[s.id] != nil {
		s.id = 1 + c.rng.Int32N(math.MaxInt32-1)
	}
	c.byID[s.id] = s
	if s.follower < 0 {
		c.clients++
	}
	s.busy, s.epoch, s.created, s.used, s.size = true, 1, now, now, len(s.parts)
	return evicted, true
}

// victimLocked is the session that has to make room for s, or nil.
func (c *fetchSessions) victimLocked(s *fetchSession, now time.Time) *fetchSession {
	var stalest, smallest *fetchSession
	for _, v := range c.byID {
		if v.busy || v.follower >= 0 {
			continue
		}
		if stalest == nil || v.used.Before(stalest.used) {
			stalest = v
		}
		old := now.Sub(v.created) > sessionIdleMax
		if old && v.size < len(s.parts) && (smallest == nil || v.size < smallest.size) {
			smallest = v
		}
	}
	if stalest != nil && now.Sub(stalest.used) > sessionIdleMax {
		return stalest
	}
	return smallest
}

// begin takes the session that a request names into use. The request must be the
// one that follows the session's last.
func (c *fetchSessions) begin(id, epoch int32, byID bool, follower int32) (*fetchSession, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[id]
	switch {
	case s == nil || s.follower != follower:
		return nil, metadata.ErrFetchSessionIDNotFound
	case s.busy || s.epoch != epoch:
		return nil, metadata.ErrInvalidFetchSessionEpoch
	case s.byID != byID:
		return nil, errFetchSessionTopicID
	}
	if s.epoch++; s.epoch <= 0 {
		s.epoch = 1
	}
	s.busy = true
	return s, nil
}

// end gives a session back; one that was removed meanwhile is closed.
func (c *fetchSessions) end(s *fetchSession, now time.Time) {
	c.mu.Lock()
	s.busy, s.used, s.size = false, now, len(s.parts)
	gone := s.gone
	c.mu.Unlock()
	if gone {
		s.close()
	}
}

// remove ends the session that has this id, if it is the fetcher's.
func (c *fetchSessions) remove(id, follower int32) {
	c.mu.Lock()
	s := c.byID[id]
	if s != nil && s.follower == follower {
		s = c.removeLocked(s)
	} else {
		s = nil
	}
	c.mu.Unlock()
	if s != nil {
		s.close()
	}
}

// removeLocked takes s out and returns it for the caller to close, once it holds
// no lock; nil if a request is using s, which will close it.
func (c *fetchSessions) removeLocked(s *fetchSession) *fetchSession {
	if s == nil {
		return nil
	}
	delete(c.byID, s.id)
	if s.follower < 0 {
		c.clients--
	} else if c.followers[s.follower] == s {
		delete(c.followers, s.follower)
	}
	s.gone = true
	if s.busy {
		return nil
	}
	return s
}

// count is the number of sessions, of clients and of followers.
func (c *fetchSessions) count() (clients, followers int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clients, len(c.followers)
}
