package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// An Owner is one life of a member, as it sees itself.
type Owner struct {
	Group, Name string
	Instance    string // "": a dynamic member
	// Session is how long the group waits for a member that it does not hear, and Rebalance how
	// long for one to rejoin that it has told to.
	Session, Rebalance time.Duration
}

// owners is who believes to own what. A member that has been silent for its session, or has not
// rejoined in time, may believe what it likes: what keeps it from harm is that its commits are refused.
type owners struct {
	now   map[claim]map[string]belief // by the name of who believes
	heard map[string]hearing
}

// hearing is when a member was heard by the group: when the newest request was sent that it has an
// answer to as a member, and the newest one whose answer was that nothing changes. Later than that
// a rebalance may have begun.
type hearing struct{ last, calm time.Time }

// until is how long a member may count on what it owns.
func (h hearing) until(o Owner) time.Time {
	session, rejoin := h.last.Add(o.Session), h.calm.Add(o.Rebalance)
	if rejoin.Before(session) {
		return rejoin
	}
	return session
}

type claim struct {
	group string
	place Place
}

type belief struct {
	owner Owner
	since time.Time
}

// Assigned notes that a member begins to believe that it owns places. It is an error if
// both it and another one rightly believe so: a member may take in very late what it was told.
func (h *History) Assigned(o Owner, generation int32, places []Place, now time.Time) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	h.tellGeneration(o.Group, generation)
	for _, p := range places {
		c := claim{o.Group, p}
		if h.owners.now == nil {
			h.owners.now = map[claim]map[string]belief{}
		}
		if h.owners.now[c] == nil {
			h.owners.now[c] = map[string]belief{}
		}
		for _, other := range h.owners.now[c] {
			if h.owners.heard[o.Name].until(o).After(now) {
				err = cmp.Or(err, apart(c, o, other, h.owners.heard[other.owner.Name], now))
			}
		}
		h.owners.now[c][o.Name] = belief{o, now}
	}
	return err
}

// apart checks that another one who owns the same place has had to take it for lost.
func apart(c claim, o Owner, other belief, heard hearing, now time.Time) error {
	replaced := o.Instance != "" && o.Instance == other.owner.Instance // its next process
	left := heard.until(other.owner).Sub(now)
	if o.Name == other.owner.Name || replaced || left <= 0 {
		return nil
	}
	return fmt.Errorf("two owners: %s of %s is given %v, which %s has since %v; it was heard %v ago, was not told to rejoin %v ago, and may count on %v more",
		o.Name, c.group, c.place, other.owner.Name, now.Sub(other.since), now.Sub(heard.last), now.Sub(heard.calm), left)
}

// Released notes that a member no longer believes to own some places.
func (h *History) Released(o Owner, places []Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	for _, p := range places {
		delete(h.owners.now[claim{o.Group, p}], o.Name)
	}
}

// Ended notes that a member believes nothing any more.
func (h *History) Ended(o Owner) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	for _, who := range h.owners.now {
		delete(who, o.Name)
	}
}

// Heard notes that a member has the answer to a request that it sent at a time. calm: the answer does
// not tell it to rejoin.
func (h *History) Heard(o Owner, sent time.Time, calm bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owners.heard == nil {
		h.owners.heard = map[string]hearing{}
	}
	at := h.owners.heard[o.Name]
	if at.last.Before(sent) {
		at.last = sent
	}
	if calm && at.calm.Before(sent) {
		at.calm = sent
	}
	h.owners.heard[o.Name] = at
}

// checkRoll judges what one look at a Stable group shows: who was given what.
func checkRoll(g Group, subscribed []Place, given map[string][]Place) error {
	has := map[Place]string{}
	for _, member := range slices.Sorted(maps.Keys(given)) {
		for _, p := range given[member] {
			if first, twice := has[p]; twice {
				return fmt.Errorf("two owners: %v is assigned to %s and to %s in one generation of %s", p, first, member, g.Name)
			}
			has[p] = member
		}
	}
	// Cooperative members give something up in one generation and get it in the next.
	missing := func(p Place) bool { _, ok := has[p]; return !ok }
	if i := slices.IndexFunc(subscribed, missing); i >= 0 && !g.Cooperative {
		return fmt.Errorf("no owner: of %v in a stable generation of %s", subscribed[i], g.Name)
	}
	return nil
}
