package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// active is what only the active coordinator has, for one term: the sessions of
// the brokers and the connections that they come by. A node that is deposed drops it
// all, and whoever comes next begins anew with full sessions.
//
// Its goroutines: watch, that of the groups, one for each broker that is being dialled
// back or fenced, and one for each change of a group that is under way. stop joins them.
type active struct {
	n      *Node
	term   uint64
	ctx    context.Context // ends with the term
	cancel context.CancelFunc
	groups *groups

	mu       sync.Mutex // a leaf
	stopped  bool
	rng      *rand.Rand // of topic ids and placement
	sessions *sessions
	conns    map[int32]*wire.Conn // the connection that a broker's last heartbeat came by
	leaving  map[int32]handover   // brokers in controlled shutdown
	wg       sync.WaitGroup
}

// A handover is how far the metadata log had come when a broker that shuts down led
// nothing any more. It may go once every active broker has come that far.
type handover struct{ epoch, offset int64 }

// newActive takes over: every unfenced broker has a full session from now.
func newActive(n *Node, turn context.Context, term uint64, now time.Time) *active {
	a := &active{
		n: n, term: term,
		// A node may be active again after a restart, so the term is in the seed.
		rng:      rand.New(rand.NewPCG(n.cfg.Seed^uint64(n.cfg.ID)<<48, term)),
		sessions: newSessions(n.cfg.Broker.SessionTimeout),
		conns:    map[int32]*wire.Conn{},
		leaving:  map[int32]handover{},
	}
	a.ctx, a.cancel = context.WithCancel(turn)
	im, newest := n.history.latest()
	a.groups = newGroups(a)
	a.sessions.note(newest, now)
	for _, b := range im.Brokers() {
		if !b.Fenced {
			a.sessions.begin(b.ID, b.Epoch, now)
		}
	}
	return a
}

// watch ends the sessions of brokers that are silent, until the term ends.
func (a *active) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // when watch meant to wake
	balance := a.newBalancer(time.Now())
	for {
		select {
		case <-timer.C:
		case <-a.ctx.Done():
			return
		}
		if a.n.cfg.Gate.Pass() != nil {
			return
		}
		now := time.Now()
		a.endSessions(now, due)
		due = balance.run(now, a.nextCheck(now))
		timer.Reset(due.Sub(now))
	}
}

// endSessions fences the brokers whose sessions are over. If this node woke later
// than it meant to, it is the one that did not listen: it was paused, or short of
// processor. Then it begins anew, as the next active node would.
func (a *active) endSessions(now, due time.Time) {
	a.mu.Lock()
	if !due.IsZero() && now.Sub(due) > a.sessions.timeout/20 {
		a.sessions.renew(now)
	}
	_, newest := a.n.history.latest()
	a.sessions.note(newest, now)
	gone := a.sessions.expired(now)
	a.mu.Unlock()
	for _, e := range gone {
		if !a.unfenced(e.id, e.epoch) {
			continue
		}
		a.n.events.Emit(event.Event{
			Kind: event.SessionExpired, Node: a.n.name, Part: -1,
			Key:     event.SessionKey(e.id, e.epoch),
			Because: []event.Key{event.ProcessKey(event.BrokerNode(e.id))},
			Data:    map[string]any{"broker": e.id, "epoch": e.epoch, "silent": e.silent},
		})
		a.fence(e.id, e.epoch, fmt.Sprintf("silent for %v", e.silent.Round(time.Millisecond)))
	}
}

// nextCheck is when to look at the sessions again: when one may end, and often
// enough that a sleep of this node's own does not go unnoticed.
func (a *active) nextCheck(now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := now.Add(a.sessions.timeout / 5)
	if end := a.sessions.next(); !end.IsZero() && end.Before(next) {
		return end
	}
	return next
}

// stop drops everything and joins what this term began.
func (a *active) stop() {
	a.cancel()
	a.mu.Lock()
	a.stopped = true
	a.mu.Unlock()
	a.wg.Wait()
}

// spawn runs f on a goroutine that stop joins; not at all once stopped.
func (a *active) spawn(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.wg.Go(f)
	}
}

// unfenced reports whether the image holds that broker, under that epoch, as unfenced.
func (a *active) unfenced(id int32, epoch int64) bool {
	b, ok := a.n.Image().Broker(id)
	return ok && b.Epoch == epoch && !b.Fenced
}

// fence asks for a broker to be fenced. Nobody waits for it: if it fails, this node
// is no longer active, and the next one sees to the broker.
func (a *active) fence(id int32, epoch int64, reason string) {
	a.spawn(func() {
		if _, err := a.n.propose(a.ctx, state.FenceBroker{ID: id, Epoch: epoch, Reason: reason}); err != nil {
			a.n.logger.Warn("could not fence a broker", "broker", id, "epoch", epoch, "error", err)
		}
	})
}

// connected makes c the connection that the broker's life hangs by.
func (a *active) connected(id int32, epoch int64, c *wire.Conn) {
	c.SetState(sessionRef{id, epoch})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[id] = c
}

// A sessionRef is what a connection remembers of the heartbeats that came by it.
type sessionRef struct {
	id    int32
	epoch int64
}

// disconnected finds out why the connection that a broker's heartbeats came by is
// closed. If its process refuses a new one, it is gone and need not be waited for.
func (a *active) disconnected(c *wire.Conn) {
	ref, ok := c.State().(sessionRef)
	if !ok {
		return
	}
	a.mu.Lock()
	mine := a.conns[ref.id] == c
	if mine {
		delete(a.conns, ref.id)
	}
	a.mu.Unlock()
	if mine {
		a.spawn(func() { a.dialBack(ref) })
	}
}

func (a *active) dialBack(ref sessionRef) {
	b, ok := a.n.Image().Broker(ref.id)
	at, has := b.Endpoint(metadata.InternalListener)
	if !ok || !has || b.Epoch != ref.epoch {
		return
	}
	ctx, cancel := context.WithTimeout(a.ctx, a.sessions.timeout)
	defer cancel()
	conn, err := a.n.cfg.Dial(ctx, "tcp", net.JoinHostPort(at.Host, strconv.Itoa(int(at.Port))))
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || a.n.cfg.Gate.Pass() != nil {
		return
	}
	a.mu.Lock()
	back := a.conns[ref.id] != nil // it came again meanwhile
	if !back {
		a.sessions.end(ref.id, ref.epoch)
	}
	a.mu.Unlock()
	if back || !a.unfenced(ref.id, ref.epoch) {
		return
	}
	a.n.events.Emit(event.Event{
		Kind: event.BrokerGone, Node: a.n.name, Part: -1,
		Key:     event.SessionKey(ref.id, ref.epoch),
		Because: []event.Key{event.ProcessKey(event.BrokerNode(ref.id))},
		Data:    map[string]any{"broker": ref.id, "epoch": ref.epoch},
	})
	a.fence(ref.id, ref.epoch, "its process is gone")
}

// draw returns ids that no topic has had, and a seed for the placement.
func (a *active) draw(topics int) (ids []metadata.UUID, seed uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids = make([]metadata.UUID, topics)
	for i := range ids {
		ids[i] = metadata.NewUUID(a.rng)
	}
	return ids, a.rng.Uint64()
}
