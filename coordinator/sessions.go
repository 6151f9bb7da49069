package coordinator

import (
	"slices"
	"time"
)

// sessions is what the active coordinator knows of which brokers live: pure, the
// time comes in. A broker's session is one broker epoch; each heartbeat makes it
// good for another timeout. It says nothing of fencing, which is in the image.
//
// A heartbeat of an unfenced broker that has not applied what was committed one
// timeout ago counts for nothing: such a broker is as good as silent, and everybody
// else would wait for it.
type sessions struct {
	timeout time.Duration
	live    map[int32]*session
	marks   []mark // how far the metadata log had come, oldest first
}

type session struct {
	epoch int64
	until time.Time // silence ends the session here
	since time.Time // the last heartbeat that counted, or the session's begin
	// applied is the newest metadata offset that the broker says it has; -1 before
	// its first heartbeat.
	applied int64
}

type mark struct {
	at     time.Time
	offset int64
}

// An expiry is the end of a session by silence.
type expiry struct {
	id     int32
	epoch  int64
	silent time.Duration
}

func newSessions(timeout time.Duration) *sessions {
	return &sessions{timeout: timeout, live: map[int32]*session{}}
}

// begin starts a full session, in place of an older one.
func (s *sessions) begin(id int32, epoch int64, now time.Time) {
	s.live[id] = &session{epoch: epoch, since: now, until: now.Add(s.timeout), applied: -1}
}

// heartbeat notes a sign of life under the broker's current epoch.
func (s *sessions) heartbeat(id int32, epoch, applied int64, fenced bool, now time.Time) {
	b := s.live[id]
	if b == nil || b.epoch != epoch {
		s.begin(id, epoch, now)
		b = s.live[id]
	}
	b.applied = max(b.applied, applied)
	if !fenced && b.applied < s.due(now) {
		return
	}
	b.since, b.until = now, now.Add(s.timeout)
}

// end forgets a session of that epoch.
func (s *sessions) end(id int32, epoch int64) {
	if b := s.live[id]; b != nil && b.epoch == epoch {
		delete(s.live, id)
	}
}

// alive returns the epoch of a broker's session that has not expired.
func (s *sessions) alive(id int32, now time.Time) (epoch int64, ok bool) {
	b := s.live[id]
	if b == nil || !now.Before(b.until) {
		return 0, false
	}
	return b.epoch, true
}

// applied is the newest metadata offset that a broker reported under epoch, -1 if it reported none.
func (s *sessions) applied(id int32, epoch int64) int64 {
	if b := s.live[id]; b != nil && b.epoch == epoch {
		return b.applied
	}
	return -1
}

// note marks how far the metadata log has come.
func (s *sessions) note(newest int64, now time.Time) {
	if n := len(s.marks); n == 0 || s.marks[n-1].offset < newest {
		s.marks = append(s.marks, mark{now, newest})
	}
	// Of the marks that are due only the newest says anything.
	for len(s.marks) > 1 && !now.Before(s.marks[1].at.Add(s.timeout)) {
		s.marks = s.marks[1:]
	}
}

// due is the offset that an unfenced broker must have applied by now.
func (s *sessions) due(now time.Time) int64 {
	due := int64(-1)
	for _, m := range s.marks {
		if now.Before(m.at.Add(s.timeout)) {
			break
		}
		due = m.offset
	}
	return due
}

// expired ends the sessions that silence has ended by now, by broker id.
func (s *sessions) expired(now time.Time) []expiry {
	var gone []expiry
	for id, b := range s.live {
		if !now.Before(b.until) {
			gone = append(gone, expiry{id, b.epoch, now.Sub(b.since)})
			delete(s.live, id)
		}
	}
	slices.SortFunc(gone, func(a, b expiry) int { return int(a.id - b.id) })
	return gone
}

// next is when the next session ends if nothing is heard; zero if there is none.
func (s *sessions) next() time.Time {
	var first time.Time
	for _, b := range s.live {
		if first.IsZero() || b.until.Before(first) {
			first = b.until
		}
	}
	return first
}

// renew makes every session a full one: it was this node that did not listen.
func (s *sessions) renew(now time.Time) {
	for _, b := range s.live {
		b.until = now.Add(s.timeout)
	}
	if n := len(s.marks); n > 0 {
		s.marks = []mark{{now, s.marks[n-1].offset}}
	}
}
