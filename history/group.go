package history

import (
	"fmt"
	"sync"
	"time"
)

// A Group is the history of one consumer group. Its zero value is the history of one that
// nobody has joined, and that begins at offset 0 of every partition. Its methods and those of
// its members are safe for concurrent use.
type Group struct {
	mu      sync.Mutex
	clock   int // counts what was told
	members []*Member
	expired map[string]time.Time // sessions that ended, by member id
	moves   map[place][]move     // in the order in which they were told
	read    map[place]map[int64]bool
}

type place struct {
	topic     string
	partition int32
}

func (p place) String() string { return fmt.Sprintf("%s-%d", p.topic, p.partition) }

// A move is where a group comes to in a partition: by a commit of a member, or by a reset.
type move struct {
	began, told int // on the history's clock; began 0: not known
	at          time.Time
	by          *Member // nil: a reset
	offset      int64
}

// A Member is one client of a group, in whatever generations it takes part.
type Member struct {
	group *Group
	name  string
	left  time.Time // zero: it has not
	owns  []*belief // those of before, too
}

// A belief is a member's that it owns a partition: from when it was told, until it was told
// otherwise.
type belief struct {
	member     *Member
	id         string // the member's, from the group's broker
	generation int32
	place      place

	began, ended time.Time // ended zero: it still believes
	from, to     int       // the same on the history's clock; to 0: it still believes
	first        int64     // offset of the first record that was delivered then, -1: none was
	again        bool      // and that record had been delivered before
}

// Join begins the history of a client, with a name for messages.
func (g *Group) Join(name string) *Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &Member{group: g, name: name}
	g.members = append(g.members, m)
	return m
}

// Assigned tells that the client was given partitions, by topic, as this member of this
// generation. Those that it has already stay its own.
func (m *Member) Assigned(id string, generation int32, partitions map[string][]int32) {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	now, told := time.Now(), m.group.tick()
	for topic, numbers := range partitions {
		for _, n := range numbers {
			at := place{topic, n}
			if m.owner(at) == nil {
				m.owns = append(m.owns, &belief{member: m, id: id, generation: generation, place: at, began: now, from: told, first: -1})
			}
		}
	}
}

// Revoked tells that the client has heard that partitions are its own no more, because it
// must give them up or has lost them. It comes before the client says that it has given them up.
func (m *Member) Revoked(partitions map[string][]int32) {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	now, told := time.Now(), m.group.tick()
	for topic, numbers := range partitions {
		for _, n := range numbers {
			if b := m.owner(place{topic, n}); b != nil {
				b.ended, b.to = now, told
			}
		}
	}
}

// Delivered tells that a record was handed to the client.
func (m *Member) Delivered(topic string, partition int32, offset int64) {
	g := m.group
	g.mu.Lock()
	defer g.mu.Unlock()
	at := place{topic, partition}
	if b := m.owner(at); b != nil && b.first < 0 {
		b.first, b.again = offset, g.read[at][offset]
	}
	if g.read == nil {
		g.read = map[place]map[int64]bool{}
	}
	if g.read[at] == nil {
		g.read[at] = map[int64]bool{}
	}
	g.read[at][offset] = true
}

// A Began says when a commit was begun. The zero value does not: what a commit was before or
// after is judged less strictly then.
type Began int

// Committing tells that the client is about to commit; what it returns goes to Committed.
func (m *Member) Committing() Began {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	return Began(m.group.tick())
}

// Committed tells that a commit of the client was acknowledged; offset is that of the record to
// be read next. Of one without an answer nothing is told: it may have happened or not.
func (m *Member) Committed(began Began, topic string, partition int32, offset int64) {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	m.group.moved(place{topic, partition}, move{began: int(began), by: m, offset: offset})
}

// Left tells that the client has ended, in good order or not: it believes nothing any more.
func (m *Member) Left() {
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	now, told := time.Now(), m.group.tick()
	m.left = now
	for _, b := range m.owns {
		if b.to == 0 {
			b.ended, b.to = now, told
		}
	}
}

// Expired tells that the session of a member, by its member id, ended at a moment: the group
// goes on without it, whatever it believes itself. Told twice, the first counts.
func (g *Group) Expired(id string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.expired == nil {
		g.expired = map[string]time.Time{}
	}
	if _, ok := g.expired[id]; !ok {
		g.expired[id] = at
	}
}

// Reset tells that somebody sets where the group is in a partition: an administrator, or a
// member that seeks. Records that are passed over need not be delivered. A group that does
// not begin at offset 0 is reset to where it does before anybody joins.
func (g *Group) Reset(topic string, partition int32, offset int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.moved(place{topic, partition}, move{offset: offset})
}

func (g *Group) moved(at place, m move) {
	if g.moves == nil {
		g.moves = map[place][]move{}
	}
	m.told, m.at = g.tick(), time.Now()
	g.moves[at] = append(g.moves[at], m)
}

func (g *Group) tick() int {
	g.clock++
	return g.clock
}

// owner returns the belief of a member that a partition is its own, nil if it has none.
func (m *Member) owner(at place) *belief {
	for _, b := range m.owns {
		if b.place == at && b.to == 0 {
			return b
		}
	}
	return nil
}
