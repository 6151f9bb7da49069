package simulation

// A Commit is one offset that somebody asked to be committed. A request about several
// places is as many of them.
type Commit struct {
	Group, Member string // Member is its id; "": an administrator, who sets offsets back
	Generation    int32  // -1 of an administrator
	Place         Place
	Offset        int64
	Note          string // no two requests have the same

	Began, Ended int // on the history's clock; Ended 0: nobody knows yet
	Outcome      Outcome
	// Lone says that it was sent once, so that nothing of it can arrive after its answer.
	Lone bool
}

// An Outcome is what became of a commit.
type Outcome int

// What became of it.
const (
	Unknown Outcome = iota // it may have been carried out, or may be yet
	Acked
	Refused // it was not carried out, and must never be
)

// A Shown is what somebody was told that a group has committed in a place.
type Shown struct {
	Group, Reader string
	Place         Place
	Offset        int64  // -1: nothing
	Note          string // of the commit
	Began, Ended  int
}

// groups is what the members of groups did and saw, and what was decided of them.
type groups struct {
	commits []*Commit
	shown   []Shown
	told    map[string]map[int32]int // when a member first knew of a generation
	met     map[string]int           // when a member id was first used
	passed  map[claim]map[int64]int  // when a record was first given to a member
	facts   allFacts
}

// Tick returns the history's clock.
func (h *History) Tick() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	return h.clock
}

// Commits notes that a commit is sent. Several of one request share their note.
func (h *History) Commits(cs ...Commit) []*Commit {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	var begun []*Commit
	for _, c := range cs {
		c.Began = h.clock
		begun = append(begun, &c)
	}
	h.groups.commits = append(h.groups.commits, begun...)
	return begun
}

// Ends notes what became of a commit.
func (h *History) Ends(c *Commit, o Outcome, lone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	c.Ended, c.Outcome, c.Lone = h.clock, o, lone
}

// Shows notes what somebody was told of committed offsets.
func (h *History) Shows(s Shown) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	s.Ended = h.clock
	h.groups.shown = append(h.groups.shown, s)
}

// Delivered notes that a member of a group was given a record.
func (h *History) Delivered(group string, at Place, offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	c := claim{group, at}
	if h.groups.passed == nil {
		h.groups.passed = map[claim]map[int64]int{}
	}
	if h.groups.passed[c] == nil {
		h.groups.passed[c] = map[int64]int{}
	}
	if _, again := h.groups.passed[c][offset]; !again {
		h.groups.passed[c][offset] = h.clock
	}
}

// tellGeneration notes that a member knows of a generation now.
func (h *History) tellGeneration(group string, generation int32) {
	if h.groups.told == nil {
		h.groups.told = map[string]map[int32]int{}
	}
	if h.groups.told[group] == nil {
		h.groups.told[group] = map[int32]int{}
	}
	if _, known := h.groups.told[group][generation]; !known {
		h.groups.told[group][generation] = h.clock
	}
}

// Meets notes that somebody works under a member id now.
func (h *History) Meets(member string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	if h.groups.met == nil {
		h.groups.met = map[string]int{}
	}
	if _, known := h.groups.met[member]; !known {
		h.groups.met[member] = h.clock
	}
}
