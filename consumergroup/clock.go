package consumergroup

import "time"

// A clock is the time of a group. It stands still while a proposal is under way,
// since nobody is heard, and while the group's broker is silent, since nobody can
// speak: so no timeout runs out meanwhile. It may go back a little, when the
// silence is noticed late; all deadlines are kept in it.
type clock struct {
	behind  time.Duration // the real time
	stopped time.Time     // when, in real time
	reasons stop
}

// A stop is a reason to stand still.
type stop byte

const (
	proposing stop = 1 << iota
	silent
)

func (c *clock) stop(why stop, at time.Time) {
	if c.reasons == 0 || at.Before(c.stopped) {
		c.stopped = at
	}
	c.reasons |= why
}

func (c *clock) start(why stop, now time.Time) {
	if c.reasons&why == 0 {
		return
	}
	c.reasons &^= why
	if c.reasons == 0 {
		c.behind += max(now.Sub(c.stopped), 0)
	}
}

// at is the group's time at a moment.
func (c *clock) at(now time.Time) time.Time {
	if c.reasons != 0 {
		now = c.stopped
	}
	return now.Add(-c.behind)
}

// real is the moment at which the group's time will be t, if it goes on; zero if
// it stands still or t is zero.
func (c *clock) real(t time.Time) time.Time {
	if c.reasons != 0 || t.IsZero() {
		return time.Time{}
	}
	return t.Add(c.behind)
}
