package consumergroup

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// A ClassicGroup decides for a group whose leader, a client, assigns (JoinGroup,
// SyncGroup). What it decides takes effect in it at once, as in Kafka, but nobody
// is told before it is committed. While a proposal is under way requests wait
// their turn.
type ClassicGroup struct {
	id     string
	config Config
	facts  Facts // committed; nil: the group does not exist
	offset int64 // of the newest committed fact

	// What is decided: the facts, and what was recorded since.
	exists                         bool
	state                          State
	generation                     int32
	protocolType, protocol, leader string
	since                          int64
	members                        []*member // in the order in which they joined
	byID                           map[string]*member

	// What is known here only, and lost with the coordinator.
	pending      []pendingMember // were given a member id and have not joined yet
	initial      bool            // this rebalance began Empty: its delay ends it, not the last to join
	newcomer     bool            // somebody joined since the initial delay began
	delay        time.Duration   // the one that runs
	delayLeft    time.Duration   // how far it may be extended
	joinDeadline time.Time       // zero: nobody is to join
	syncDeadline time.Time       // zero: everybody has synced

	time     clock
	heard    time.Time // when the group's broker was certainly there, in real time
	now      time.Time // the group's, in the event at hand
	batch    []Fact    // recorded, not proposed yet
	out      []Answer  // to what is at hand
	held     []Answer  // shows what is proposed
	proposed []Fact
	queue    []Request // came since
	moved    bool      // while a proposal was under way
}

func newClassicGroup(id string, config Config) *ClassicGroup {
	return &ClassicGroup{id: id, config: config, byID: map[string]*member{}}
}

// Handle takes a request.
func (g *ClassicGroup) Handle(r Request, now time.Time) Decision {
	g.heard = now
	if g.proposed != nil {
		g.queue = append(g.queue, r)
		return Decision{}
	}
	g.now = g.time.at(now)
	g.handle(r)
	return g.decide(now)
}

func (g *ClassicGroup) handle(r Request) {
	switch r := r.(type) {
	case Join:
		g.join(r)
	case Sync:
		g.sync(r)
	case Heartbeat:
		g.answer(r.Token, g.heartbeat(r), nil)
	case Alive:
		g.alive(r)
	case Leave:
		g.leave(r)
	case Delete:
		g.answer(r.Token, g.delete(), nil)
	default:
		g.answer(r.token(), fmt.Errorf("group %s is classic: %w", g.id, metadata.ErrInconsistentGroupProtocol), nil)
	}
}

// Tick ends what has waited long enough.
func (g *ClassicGroup) Tick(now time.Time) Decision { return g.decide(now) }

// Freeze makes the group's time stand still.
func (g *ClassicGroup) Freeze(since time.Time) {
	if since.Before(g.heard) {
		since = g.heard
	}
	if guard.StandStill.Holds() {
		g.time.stop(silent, since)
	}
}

// Thaw lets the group's time go on.
func (g *ClassicGroup) Thaw(now time.Time) Decision {
	g.heard = now
	g.time.start(silent, now)
	return g.decide(now)
}

// Facts returns what is committed.
func (g *ClassicGroup) Facts() (Facts, int64) { return g.facts, g.offset }

// decide lets timeouts run out and closes the event: answers leave, unless facts
// were recorded, which are then proposed.
func (g *ClassicGroup) decide(now time.Time) (d Decision) {
	if g.proposed != nil {
		return Decision{}
	}
	g.now = g.time.at(now)
	if g.time.reasons == 0 {
		g.expire()
	}
	if len(g.batch) > 0 {
		g.propose(now)
		d.Propose = g.proposed
		if !guard.AnswerAfterFact.Holds() {
			g.out, g.held = g.held, nil
		}
	}
	d.Answers, g.out = g.out, nil
	for i := range d.Answers {
		d.Answers[i].Offset = g.offset
	}
	d.Next = g.time.real(g.next())
	d.Done = !g.exists && g.facts == nil && g.proposed == nil && len(g.members) == 0 && len(g.pending) == 0
	return d
}

// answer ends a request's wait.
func (g *ClassicGroup) answer(to Token, err error, reply Reply) {
	if to == 0 {
		return
	}
	if err != nil {
		err = fmt.Errorf("group %s: %w", g.id, err)
	}
	g.out = append(g.out, Answer{To: to, Err: err, Reply: reply})
}

// hasMember reports whether somebody is a member or is about to be.
func (g *ClassicGroup) hasMember(id string) bool { return g.byID[id] != nil }

func (g *ClassicGroup) instance(instance string) string {
	for _, m := range g.members {
		if m.Instance == instance {
			return m.ID
		}
	}
	return ""
}
