package consumergroup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// A client is a consumer: it joins, syncs, works on what it is given, and
// behaves as Kafka's own do when it is refused.
type client struct {
	w        *world
	name     string
	lives    int // processes so far
	instance string
	session  time.Duration
	timeout  time.Duration // to rejoin
	coop     bool          // gives up partitions one by one (KIP-429), not all at a rebalance
	protocol []Protocol    // if not to be derived
	kind     string        // protocol type
	version  int           // of JoinGroup

	id         string // "": none
	made       string // the id that the group's broker made for the join under way
	generation int32
	leads      bool
	roll       []JoinedMember
	chosen     string // the generation's protocol
	owned      []string
	stale      bool // it said that it owns something, and has given it up since
	phase      phase
}

type phase byte

const (
	outside phase = iota // has to join
	joining
	joined // has to sync
	syncing
	working
	leaving
)

func (w *world) client(name string) *client {
	i := slices.IndexFunc(w.clients, func(c *client) bool { return c.name == name })
	if i < 0 {
		w.clients = append(w.clients, &client{
			w: w, name: name, session: 10 * time.Second, timeout: time.Minute, kind: ConsumerProtocolType, version: 9, generation: -1,
		})
		i = len(w.clients) - 1
	}
	return w.clients[i]
}

// protocols is what the client tells of itself: cooperative ones say what they own.
func (c *client) protocols() []Protocol {
	switch {
	case c.protocol != nil:
		return c.protocol
	case c.coop:
		return []Protocol{{"cooperative", strings.Join(c.owned, ",")}}
	default:
		return []Protocol{{"range", "orders"}}
	}
}

// join asks to join. An eager client gives up everything first.
func (c *client) join() {
	if !c.coop {
		c.owned = nil
	}
	c.phase = joining
	if c.id == "" {
		c.lives++
		c.made = fmt.Sprintf("%s-%d", c.name, c.lives)
	}
	c.sendJoin(c.id)
}

// again is what the group's broker does if it hears no answer: the same once more.
func (c *client) again() {
	c.abandon()
	c.phase = joining
	c.sendJoin("")
}

func (c *client) sendJoin(id string) {
	c.w.send(c, func(t Token) Request {
		return Join{
			Token: t, MemberID: id, NewMemberID: c.made, Instance: c.instance, ClientID: c.name,
			SessionTimeout: c.session, RebalanceTimeout: c.timeout, ProtocolType: c.kind, Protocols: c.protocols(),
			IDRequired: c.version >= 4, SkipsAssignment: c.version >= 9,
		}
	})
}

// sync asks for the assignment; the group leader brings everybody's.
func (c *client) sync(assignments []Assignment) {
	c.phase = syncing
	c.w.send(c, func(t Token) Request {
		return Sync{Token: t, MemberID: c.id, Instance: c.instance, Generation: c.generation, ProtocolType: c.kind, Protocol: c.chosen, Assignments: assignments}
	})
}

func (c *client) heartbeat() {
	c.w.send(c, func(t Token) Request {
		return Heartbeat{Token: t, MemberID: c.id, Instance: c.instance, Generation: c.generation}
	})
}

// leave ends the membership. First the client gives up what it has.
func (c *client) leave() {
	c.owned, c.phase = nil, leaving
	c.w.send(c, func(t Token) Request { return Leave{t, []Leaver{{c.id, c.instance}}} })
}

func (c *client) commit() error {
	err := c.w.commitOffsets(Commit{MemberID: c.id, Instance: c.instance, Generation: c.generation})
	if err == nil && c.w.group != nil {
		c.w.take(c.w.group.Handle(Alive{c.id, c.instance}, c.w.now))
	}
	return err
}

// restart ends the process and begins another one. It knows nothing.
func (c *client) restart() {
	c.abandon()
	c.forget()
}

func (c *client) forget() {
	c.id, c.generation, c.owned, c.phase, c.leads, c.roll = "", -1, nil, outside, false, nil
}

// abandon stops waiting: what is answered yet is not heard.
func (c *client) abandon() {
	for _, token := range c.w.waiting() {
		if call := c.w.calls[token]; call.by == c {
			call.by = nil
		}
	}
}

// lost is called when a request gets no answer.
func (c *client) lost(r Request) {
	switch r.(type) {
	case Join:
		c.phase = outside
	case Sync:
		c.phase = outside
	case Leave:
		c.forget()
	}
}

// hear takes an answer.
func (c *client) hear(r Request, a Answer) {
	if h, ok := r.(Heartbeat); ok && (c.phase != working || h.MemberID != c.id || h.Generation != c.generation) {
		return // it is about what was before
	}
	switch {
	case errors.Is(a.Err, metadata.ErrMemberIDRequired):
		c.id, c.phase = a.Reply.(JoinReply).MemberID, outside
	case errors.Is(a.Err, metadata.ErrUnknownMemberID), errors.Is(a.Err, metadata.ErrFencedInstanceID),
		errors.Is(a.Err, metadata.ErrGroupMaxSizeReached):
		c.forget()
	case errors.Is(a.Err, metadata.ErrIllegalGeneration):
		c.generation, c.owned, c.phase = -1, nil, outside
	case a.Err != nil:
		c.phase = outside // it has lost nothing yet
	default:
		c.obey(r, a)
	}
}

func (c *client) obey(r Request, a Answer) {
	switch reply := a.Reply.(type) {
	case JoinReply:
		if c.generation >= 0 && reply.Generation > c.generation+1 {
			c.stale, c.owned = c.owned != nil, nil // it was away for a whole generation: what it had may be another's (KIP-792)
		}
		c.chosen = reply.Protocol
		c.id, c.generation, c.phase = reply.MemberID, reply.Generation, joined
		c.leads, c.roll = reply.Leader == reply.MemberID && !reply.SkipAssignment, reply.Members
	case SyncReply:
		before := c.owned
		c.owned, c.phase = partitions(reply.Assignment), working
		if c.stale || c.coop && slices.ContainsFunc(before, func(p string) bool { return !slices.Contains(c.owned, p) }) {
			c.phase = outside // it gave something up: somebody else may have it after the next rebalance
		}
		c.stale = false
	default:
		if _, ok := r.(Leave); ok {
			c.forget()
		}
	}
}

// assign is what a group leader does: every partition to one member. Cooperative
// members keep what they own, and what moves is nobody's for one generation.
func (c *client) assign(count int) []Assignment {
	assignments := make([]Assignment, len(c.roll))
	given := make([][]string, len(c.roll))
	for p := range count {
		if len(c.roll) == 0 {
			return nil // it does not lead
		}
		i := p % len(c.roll)
		if c.coop {
			owner := slices.IndexFunc(c.roll, func(m JoinedMember) bool {
				return slices.Contains(partitions(m.Metadata), strconv.Itoa(p))
			})
			if owner >= 0 && owner != i {
				continue // first its owner gives it up
			}
		}
		given[i] = append(given[i], strconv.Itoa(p))
	}
	for i, m := range c.roll {
		assignments[i] = Assignment{m.ID, strings.Join(given[i], ",")}
	}
	return assignments
}
