package coordinator

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// groups runs the machines of all groups while this node is active, for one term. A
// group that has members has its machine from the start, for its sessions run; any
// other one when somebody asks. Its goroutine, run, owns everything below in; it waits for
// nothing but events: proposals are carried out on goroutines of the term, and
// their outcomes are events too.
type groups struct {
	a    *active
	in   chan groupRequest
	out  chan outcome
	over chan struct{} // closed when run has ended: who waits is answered ErrNotCoordinator then
	poke chan struct{} // one slot: there are signs

	mu    sync.Mutex // a leaf; of signs
	signs map[int32]time.Time

	config   consumergroup.Config
	machines map[string]*machine
	due      dueHeap
	late     map[*machine]bool // due, but their broker was not heard since
	heard    map[int32]time.Time
	topic    *metadata.Topic // what the machines know of __consumer_offsets
	last     consumergroup.Token
	waiters  map[consumergroup.Token]chan<- consumergroup.Answer
	queue    []proposal
	underWay int
}

// maxGroupCommands is how many entries of groups are under way at a time. It is below
// maxCommands, so that brokers have room for theirs.
const maxGroupCommands = maxCommands / 2

// A groupRequest is a request on its way to its group's machine.
type groupRequest struct {
	group  string
	relay  wire.Relay
	make   func(consumergroup.Token) consumergroup.Request
	answer chan<- consumergroup.Answer // has room for it
}

func newGroups(a *active) *groups {
	c := a.n.cfg.Broker
	return &groups{
		a: a, in: make(chan groupRequest), out: make(chan outcome), over: make(chan struct{}), poke: make(chan struct{}, 1),
		signs: map[int32]time.Time{}, machines: map[string]*machine{}, late: map[*machine]bool{}, heard: map[int32]time.Time{},
		waiters: map[consumergroup.Token]chan<- consumergroup.Answer{},
		config: consumergroup.Config{
			MinSessionTimeout: c.GroupMinSessionTimeout, MaxSessionTimeout: c.GroupMaxSessionTimeout,
			InitialDelay: c.GroupInitialDelay, MaxSize: c.GroupMaxSize,
		},
	}
}

// ask hands a request to its group and waits for the answer. It ends early with ctx; if
// this node is deposed everybody is answered ErrNotCoordinator.
func (t *groups) ask(ctx context.Context, group string, relay wire.Relay, request func(consumergroup.Token) consumergroup.Request) consumergroup.Answer {
	answer := make(chan consumergroup.Answer, 1)
	deposed := consumergroup.Answer{Err: fmt.Errorf("group %q: %w", group, metadata.ErrNotCoordinator)}
	select {
	case t.in <- groupRequest{group, relay, request, answer}:
	case <-t.over:
		return deposed
	case <-ctx.Done():
		return deposed
	}
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		return deposed
	case <-t.over:
	}
	select { // it may have come just before
	case a := <-answer:
		return a
	default:
		return deposed
	}
}

// alive notes a sign of life of a broker.
func (t *groups) alive(broker int32, now time.Time) {
	t.mu.Lock()
	t.signs[broker] = now
	t.mu.Unlock()
	select {
	case t.poke <- struct{}{}:
	default:
	}
}

// run owns the machines until the term ends.
func (t *groups) run() {
	defer close(t.over)
	timer := time.NewTimer(0)
	defer timer.Stop()
	im, news := t.a.n.history.watch()
	t.topic = im.TopicByName(metadata.OffsetsTopic)
	t.rebuildAll(im, time.Now())
	for {
		t.submit()
		if next := t.due.first(); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case r := <-t.in:
			t.listen(time.Now())
			t.handle(r, time.Now())
		case o := <-t.out:
			t.underWay--
			t.settled(o, time.Now())
		case <-t.poke:
			t.listen(time.Now())
		case <-news:
			im, news = t.a.n.history.watch()
			t.follow(im, time.Now())
		case <-timer.C:
			if t.a.n.cfg.Gate.Pass() != nil {
				return
			}
			t.tick(time.Now())
		case <-t.a.ctx.Done():
			return
		}
	}
}

// handle takes a request to its group's machine, if it comes from the group's broker.
func (t *groups) handle(r groupRequest, now time.Time) {
	im, _ := t.a.n.history.latest()
	t.follow(im, now)
	if err := t.checkRelay(r); err != nil {
		r.answer <- consumergroup.Answer{Err: err}
		return
	}
	m, err := t.machine(r.group, now)
	if err != nil {
		r.answer <- consumergroup.Answer{Err: err}
		return
	}
	t.hear(r.relay.Broker, now)
	t.last++
	t.waiters[t.last] = r.answer
	t.decided(m, m.group.Handle(r.make(t.last), now), now)
}

// checkRelay reports whether a request comes from the group's broker in the leadership that
// this node knows: what a deposed one relays counts for nothing.
func (t *groups) checkRelay(r groupRequest) error {
	leader, epoch := t.broker(r.group)
	if r.group == "" || len(r.group) > maxGroupID {
		return fmt.Errorf("%w: of %d bytes", metadata.ErrInvalidGroupID, len(r.group))
	}
	leads := leader != metadata.NoLeader && r.relay.Broker == leader && r.relay.LeaderEpoch == epoch
	if !leads && guard.RelayedByLeader.Holds() {
		return fmt.Errorf("%w: of group %q is broker %d in epoch %d, not broker %d in epoch %d",
			metadata.ErrNotCoordinator, r.group, leader, epoch, r.relay.Broker, r.relay.LeaderEpoch)
	}
	return nil
}

// maxGroupID is the longest name of a group, in bytes: that of a string in Kafka's protocol.
const maxGroupID = 1<<15 - 1

// broker returns the group's broker and its leader epoch.
func (t *groups) broker(group string) (id, epoch int32) {
	if t.topic == nil || len(t.topic.Partitions) == 0 {
		return metadata.NoLeader, 0
	}
	p := t.topic.Partitions[metadata.GroupPartition(group, len(t.topic.Partitions))]
	return p.Leader, p.LeaderEpoch
}

// decided does what a machine wants done.
func (t *groups) decided(m *machine, d consumergroup.Decision, now time.Time) {
	t.answer(d.Answers)
	if len(d.Propose) > 0 {
		m.proposing = true
		t.queue = append(t.queue, t.proposal(m, d.Propose))
	}
	t.due.set(m, d.Next)
	delete(t.late, m)
	if !m.proposing && d.Next.IsZero() {
		// Nobody waits and no time runs: its facts are all there is to it.
		delete(t.machines, m.id)
	}
}

func (t *groups) answer(answers []consumergroup.Answer) {
	for _, a := range answers {
		if w := t.waiters[a.To]; w != nil {
			delete(t.waiters, a.To)
			w <- a
		}
	}
}

// settled tells a machine what became of its proposal. One that lost the compare and
// set, or does not know its outcome, is dropped: the facts are elsewhere.
func (t *groups) settled(o outcome, now time.Time) {
	m := o.m
	m.proposing = false
	switch {
	case o.err == nil:
		t.decided(m, m.group.Committed(o.offset, now), now)
	case errors.Is(o.err, metadata.ErrInvalidUpdateVersion), errors.Is(o.err, metadata.ErrNotController):
		t.a.n.logger.Warn("a group is rebuilt", "group", m.id, "error", o.err)
		t.answer(m.group.Close(metadata.ErrNotCoordinator))
		t.due.set(m, time.Time{})
		delete(t.machines, m.id)
		im, _ := t.a.n.history.latest()
		t.rebuild(im, m.id, now)
	default:
		t.a.n.logger.Error("a change of a group is refused", "group", m.id, "error", o.err)
		t.decided(m, m.group.Failed(fmt.Errorf("%w: %w", metadata.ErrUnknownServer, o.err), now), now)
	}
}

// tick lets time end what it is to end, of groups whose broker was heard since: of a
// broker that is silent nobody knows whether the members spoke.
func (t *groups) tick(now time.Time) {
	for {
		next := t.due.first()
		if next.IsZero() || now.Before(next) {
			return
		}
		m := heap.Pop(&t.due).(*machine)
		leader, _ := t.broker(m.id)
		if t.heard[leader].Before(m.next) {
			t.late[m] = true
			continue
		}
		t.decided(m, m.group.Tick(now), now)
	}
}
