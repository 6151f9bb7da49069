package coordinator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at counts from the moment that every story here begins at.
func at(ms int) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func TestSilenceEndsASessionAfterExactlyOneTimeout(t *testing.T) {
	s := newSessions(time.Second)
	s.begin(1, 7, at(0))
	s.heartbeat(1, 7, 7, false, at(200))
	require.Equal(t, at(1200), s.next())
	require.Empty(t, s.expired(at(1199)))
	epoch, live := s.alive(1, at(1199))
	require.True(t, live)
	require.EqualValues(t, 7, epoch)
	require.Equal(t, []expiry{{1, 7, time.Second}}, s.expired(at(1200)))
	_, live = s.alive(1, at(1200))
	require.False(t, live)
	require.Empty(t, s.expired(at(5000)), "a session ends once")
	require.True(t, s.next().IsZero())
}

func TestExpiriesComeByBrokerID(t *testing.T) {
	s := newSessions(time.Second)
	for _, id := range []int32{3, 1, 2} {
		s.begin(id, int64(id)*10, at(0))
	}
	require.Equal(t, []expiry{{1, 10, time.Second}, {2, 20, time.Second}, {3, 30, time.Second}}, s.expired(at(1000)))
}

func TestANewEpochIsANewSession(t *testing.T) {
	s := newSessions(time.Second)
	s.begin(1, 7, at(0))
	s.heartbeat(1, 7, 50, false, at(100))
	s.begin(1, 60, at(500))
	require.EqualValues(t, -1, s.applied(1, 60), "what the older process had applied says nothing of this one")
	s.end(1, 7) // a late end of the older session
	_, live := s.alive(1, at(1499))
	require.True(t, live)
	require.Len(t, s.expired(at(1500)), 1)
}

func TestABrokerThatDoesNotApplyIsAsGoodAsSilent(t *testing.T) {
	s := newSessions(time.Second)
	s.note(10, at(0))
	s.heartbeat(1, 5, 10, false, at(0))
	s.heartbeat(2, 6, 10, false, at(0))
	s.note(11, at(100)) // broker 2 never applies this
	for ms := 200; ms <= 1000; ms += 200 {
		s.note(11, at(ms))
		s.heartbeat(1, 5, 11, false, at(ms))
		s.heartbeat(2, 6, 10, false, at(ms))
	}
	require.Empty(t, s.expired(at(1000)), "an entry younger than a session may be missing")
	for ms := 1200; ms < 2000; ms += 200 {
		s.note(11, at(ms))
		s.heartbeat(1, 5, 11, false, at(ms))
		s.heartbeat(2, 6, 10, false, at(ms))
		require.Empty(t, s.expired(at(ms)))
	}
	require.Equal(t, []expiry{{2, 6, time.Second}}, s.expired(at(2000)), "its last heartbeat that counted was at 1000 ms")
	s.heartbeat(2, 6, 11, false, at(2100))
	_, live := s.alive(2, at(2100))
	require.True(t, live, "once it has applied, it lives again")
}

func TestAFencedBrokerMayTakeItsTimeToCatchUp(t *testing.T) {
	s := newSessions(time.Second)
	s.note(100, at(0))
	for ms := 0; ms < 5000; ms += 200 {
		s.heartbeat(1, 5, 3, true, at(ms))
		require.Empty(t, s.expired(at(ms)))
	}
}

func TestMarksStayFew(t *testing.T) {
	s := newSessions(time.Second)
	for ms := range 10_000 {
		s.note(int64(ms), at(ms))
		require.LessOrEqual(t, len(s.marks), 1002)
	}
	require.EqualValues(t, 8999, s.due(at(9999)))
}

func TestANodeThatSleptBlamesNobody(t *testing.T) {
	s := newSessions(time.Second)
	s.note(5, at(0))
	s.begin(1, 7, at(0))
	s.renew(at(3000))
	require.EqualValues(t, -1, s.due(at(3999)), "what came while it slept is due a session from now")
	require.Empty(t, s.expired(at(3999)))
	require.Len(t, s.expired(at(4000)), 1)
}
