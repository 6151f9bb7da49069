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
	// Grace is how long the group waits for a member that it does not hear, at least: its
	// session, or the time to rejoin if that is shorter.
	Grace time.Duration
}

// owners is who believes to own what. A member that was not heard for its Grace may
// believe what it likes: what keeps it from harm is that its commits are refused.
type owners struct {
	now   map[claim]map[string]belief // by the name of who believes
	heard map[string]time.Time        // when the newest request was sent that it has an answer to
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
// another one rightly believes the same.
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
			err = cmp.Or(err, apart(c, o, other, h.owners.heard[other.owner.Name], now))
		}
		h.owners.now[c][o.Name] = belief{o, now}
	}
	return err
}

// apart checks that another one who owns the same place has had to take it for lost.
func apart(c claim, o Owner, other belief, heard, now time.Time) error {
	replaced := o.Instance != "" && o.Instance == other.owner.Instance // its next process
	if o.Name == other.owner.Name || replaced || now.Sub(heard) >= other.owner.Grace {
		return nil
	}
	return fmt.Errorf("two owners: %s of %s is given %v, which %s has since %v; it was heard %v ago and may count on %v",
		o.Name, c.group, c.place, other.owner.Name, now.Sub(other.since), now.Sub(heard), other.owner.Grace)
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

// Heard notes that a member has the answer to a request that it sent at a time.
func (h *History) Heard(o Owner, sent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owners.heard == nil {
		h.owners.heard = map[string]time.Time{}
	}
	if h.owners.heard[o.Name].Before(sent) {
		h.owners.heard[o.Name] = sent
	}
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
