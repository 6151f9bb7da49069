package groups

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// promises are what the group's broker has told members by itself: that they are members still. It
// says so when it takes a commit, and when it answers a heartbeat while the active coordinator does
// not. The coordinator may hear of it late or never, and remove such a member by then. So no
// assignment of a later generation is passed on before the promise is over: the member has
// been silent for its grace since, says itself that it knows better, or has been told.
type promises struct {
	mu      sync.Mutex                    // a leaf
	made    map[string]map[string]promise // by group and member
	n       int                           // how many
	sweepAt int                           // how many make it worth looking for those that are over
	settled chan struct{}                 // closed, and made anew, when a promise was taken back
}

type promise struct {
	generation int32
	instance   string
	until      time.Time
}

// fewPromises are not worth looking for those that are over.
const fewPromises = 1000

// takenIn is what a member has to take in that it is none any more: until then it goes on with what it owns.
const takenIn = 100 * time.Millisecond

func newPromises() *promises {
	return &promises{made: map[string]map[string]promise{}, sweepAt: fewPromises, settled: make(chan struct{})}
}

// make promises a member of a generation that it may count on what it owns until then.
func (p *promises) make(m member, instance *string, generation int32, until, now time.Time) {
	q := promise{generation: generation, until: until}
	if instance != nil {
		q.instance = *instance
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.made[m.group]
	if group == nil {
		group = map[string]promise{}
		p.made[m.group] = group
	}
	p.n -= len(group)
	group[m.id] = q
	if p.n += len(group); p.n > p.sweepAt {
		p.sweep(now)
	}
}

// sweep drops what is over.
func (p *promises) sweep(now time.Time) {
	p.n = 0
	for group, made := range p.made {
		maps.DeleteFunc(made, func(_ string, q promise) bool { return !q.until.After(now) })
		if p.n += len(made); len(made) == 0 {
			delete(p.made, group)
		}
	}
	p.sweepAt = max(fewPromises, 2*p.n)
}

// release takes back what the member was promised, and what another process was under the same instance.
func (p *promises) release(m member, instance *string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.made[m.group]
	before := len(group)
	delete(group, m.id)
	if instance != nil {
		maps.DeleteFunc(group, func(_ string, q promise) bool { return q.instance == *instance })
	}
	if len(group) < before {
		p.n -= before - len(group)
		close(p.settled)
		p.settled = make(chan struct{})
	}
}

// shorten ends what the member was promised as soon as it has taken in what it is told.
func (p *promises) shorten(m member, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	group := p.made[m.group]
	if q, ok := group[m.id]; ok && q.until.After(now.Add(takenIn)) {
		q.until = now.Add(takenIn)
		group[m.id] = q
		close(p.settled)
		p.settled = make(chan struct{})
	}
}

// open returns until when promises bind that were made to others in generations before. settled
// is closed if that changes.
func (p *promises) open(who member, generation int32, rejoined func(id string) bool, now time.Time) (until time.Time, settled <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, q := range p.made[who.group] {
		if id != who.id && q.generation < generation && q.until.After(now) && q.until.After(until) && !rejoined(id) {
			until = q.until
		}
	}
	return until, p.settled
}

// answerHeartbeat answers a heartbeat by what is replayed here, as long as no other broker can be the
// group's. Who is a member is promised so, also if it is told to rejoin: what it owns is its own until
// it does.
func (s *shard) answerHeartbeat(req *kmsg.HeartbeatRequest) error {
	beat := heartbeatOf(req.MemberID, req.InstanceID, req.Generation)
	for {
		now := time.Now()
		if err := s.groups.speaks(now); err != nil {
			return err
		}
		im := s.groups.image()
		f, err := consumergroup.FactsAt(im, req.Group)
		if err != nil {
			return err
		}
		err = consumergroup.CheckHeartbeat(f, beat)
		if err != nil && !errors.Is(err, metadata.ErrRebalanceInProgress) {
			return err
		}
		s.promises.make(member{req.Group, req.MemberID}, req.InstanceID, req.Generation, now.Add(consumergroup.Grace(f, req.MemberID)), now)
		if s.groups.image() == im {
			return err // whoever is told of newer facts finds the promise
		}
	}
}

// told ends what was promised to a member that is told, by the answer to its heartbeat or as it rejoins,
// that it is none any more; and takes back what was promised to who has rejoined. Before it is answered
// it has given up nothing, if it rebalances cooperatively.
func (s *shard) told(req kmsg.Request, answer kmsg.Response) {
	switch req := req.(type) {
	case *kmsg.HeartbeatRequest:
		s.toldCode(member{req.Group, req.MemberID}, answer.(*kmsg.HeartbeatResponse).ErrorCode)
	case *kmsg.JoinGroupRequest:
		code := answer.(*kmsg.JoinGroupResponse).ErrorCode
		if s.toldCode(member{req.Group, req.MemberID}, code); code == 0 {
			s.promises.release(member{req.Group, req.MemberID}, req.InstanceID)
		}
	}
}

func (s *shard) toldCode(m member, code int16) {
	err := wire.Err(code)
	for _, out := range []error{metadata.ErrUnknownMemberID, metadata.ErrIllegalGeneration, metadata.ErrFencedInstanceID} {
		if errors.Is(err, out) {
			s.promises.shorten(m, time.Now())
		}
	}
}

// heardOf takes back promises to who shows by what it asks that it knows of the next generation, or
// that it goes.
func (s *shard) heardOf(req kmsg.Request) {
	switch req := req.(type) {
	case *kmsg.SyncGroupRequest:
		s.promises.release(member{req.Group, req.MemberID}, req.InstanceID)
	case *kmsg.LeaveGroupRequest:
		s.promises.release(member{req.Group, req.MemberID}, nil)
		for _, m := range req.Members {
			s.promises.release(member{req.Group, m.MemberID}, m.InstanceID)
		}
	}
}

// keepWord returns once no promise binds that an assignment of this generation would break. The member
// that waits for its assignment meanwhile is not silent. The error is what it is told instead if
// the group has gone on without it: nobody may get what was assigned before somebody else got it.
func (s *shard) keepWord(ctx context.Context, req *kmsg.SyncGroupRequest) error {
	who := member{req.Group, req.MemberID}
	for waited := false; guard.PromiseKept.Holds(); waited = true {
		now := time.Now()
		if until, _ := s.promises.open(who, req.Generation, nobody, now); until.IsZero() && !waited {
			return nil // nearly always, and the facts of a thousand members are long
		}
		f, err := consumergroup.FactsAt(s.groups.image(), req.Group)
		if err == nil && waited {
			err = consumergroup.CheckHeartbeat(f, heartbeatOf(req.MemberID, req.InstanceID, req.Generation))
		}
		if err != nil {
			return err
		}
		until, settled := s.promises.open(who, req.Generation, func(id string) bool { return consumergroup.Rejoined(f, id) }, now)
		if until.IsZero() {
			return nil
		}
		session := consumergroup.SessionTimeout(f, req.MemberID)
		s.groups.alive.note(sign{who, s, req.InstanceID, req.Generation}, session, now)
		timer := time.NewTimer(min(until.Sub(now), max(session/4, time.Millisecond)))
		select {
		case <-timer.C:
		case <-settled:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", metadata.ErrCoordinatorNotAvailable, context.Cause(ctx))
		}
	}
	return nil
}

// nobody has rejoined.
func nobody(string) bool { return false }

func heartbeatOf(id string, instance *string, generation int32) consumergroup.Heartbeat {
	beat := consumergroup.Heartbeat{MemberID: id, Generation: generation}
	if instance != nil {
		beat.Instance = *instance
	}
	return beat
}
