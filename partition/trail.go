package partition

import "errors"

// A trail is a walk's way along the milestones of a segment.
type trail struct {
	r     *recovery
	s     *segment
	ahead []milestone // not come to
	known int         // the last ones of them are no milestones of the segment's file
	sure  int64       // the last one come to
	leap  int64       // position of the first batch since then that is news; noPosition: none is
}

const noPosition = -1

// A rotten place is where a log ends since what follows is not what was written.
type rotten struct {
	base, at int64 // its segment and its position
	why      string
}

// errRotten ends a recovery that has come to such a place, and has taken what is behind it
// for good. Nothing has been changed.
var errRotten = errors.New("headers are not what was written")

// The reasons that a trail has.
const (
	unvouched  = "nothing vouches for its offset and epoch" // it was never synced, or has changed
	unfinished = "its append was not finished"
	changed    = "a header from there on is not what was written"
)

// follow sets out at a position. The known milestones lie behind those of the file.
func (r *recovery) follow(s *segment, from int64, known []milestone) trail {
	sure, ahead := s.milestones.floor(from)
	return trail{r, s, append(ahead[:len(ahead):len(ahead)], known...), len(known), sure.at(), noPosition}
}

// news looks at a batch that is about to be taken. It says why it must not be, if it does
// not follow from the one before, nor from the checkpoint of the epochs, and no milestone
// will tell whether it is right.
func (t *trail) news(h Batch, at int64) (why string) {
	m := &t.s.milestones
	if m.follows(h) || h.BaseOffset() == t.r.next && t.r.kept.expects(h) {
		return ""
	}
	if len(t.ahead) == 0 && m.vouches {
		return unvouched
	}
	m.owed = m.owed || len(t.ahead) <= t.known
	if t.leap == noPosition {
		t.leap = at
	}
	return ""
}

// arrived compares what there was up to a position with the milestone there, if it is one.
func (t *trail) arrived(at int64) error {
	if len(t.ahead) == 0 || at < t.ahead[0].at() {
		return nil
	}
	if t.ahead[0] == (milestone{uint32(at), t.s.milestones.sum}) {
		t.sure, t.leap, t.ahead = at, noPosition, t.ahead[1:]
		return nil
	}
	if t.leap == noPosition {
		t.leap = t.sure
	}
	return t.rot(changed)
}

// ended is the end of a walk through a segment of that size. If it has not come to the next
// milestone, no news since the last one counts.
func (t *trail) ended(size int64) error {
	switch {
	case t.leap == noPosition || len(t.ahead) == 0:
		return nil
	case size < t.ahead[0].at():
		return t.rot(unfinished)
	}
	return t.rot(changed)
}

func (t *trail) rot(why string) error {
	t.r.rotten = rotten{t.s.base, t.leap, why}
	return errRotten
}
