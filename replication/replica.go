package replication

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A ReplicaConfig is what a replica is made from. The functions are called
// often, from any goroutine and never under a lock; they must not block.
type ReplicaConfig struct {
	Topic         string
	ID            metadata.TopicPartition
	Self          int32        // this broker
	SelfEpoch     func() int64 // its broker epoch
	Log           *partition.Log
	HighWatermark int64 // as it was checkpointed
	Image         func() *metadata.Image
	Config        func() metadata.TopicConfig
	LagTimeMax    func() time.Duration // replica.lag.time.max.ms
	Propose       func(Proposal)       // asks the coordinator; the answer goes to Answered
	Events        event.Sink
	Node          string      // of events
	Failed        func(error) // the disk failed: the broker must go down
}

// A Replica is one broker's copy of a partition: a log, the role that the
// metadata log gives to it, and those who wait for it. It has no goroutine. All
// methods are safe for concurrent use.
//
// Two things keep it in order. The mutex guards what is known and is never held
// while anything is done. The slot is held by whoever changes the log, disk calls
// included, or changes the role; so a batch that is being written when the role
// changes ends up wholly in the old leadership, and the new one starts after it.
type Replica struct {
	cfg         ReplicaConfig
	slot        chan struct{} // holds one token while somebody changes the log or the role
	marks       Watermark
	subscribers atomic.Pointer[[]Subscriber]

	mu       sync.Mutex         // a leaf but for marks
	state    metadata.Partition // the newest applied
	applied  bool               // there is a state
	pending  bool               // the role that state gives is not taken yet
	closed   bool
	role     Role // NoRole while pending
	leader   *Leader
	follower Follower
	catchUp  catchUp
}

// NewReplica returns a replica without a role. What was checkpointed as high
// watermark counts as far as the log still goes.
func NewReplica(cfg ReplicaConfig) *Replica {
	if cfg.Events == nil {
		cfg.Events = event.Discard
	}
	r := &Replica{cfg: cfg, slot: make(chan struct{}, 1), leader: NewLeader(cfg.Self, cfg.ID)}
	r.follower.hw = min(max(cfg.HighWatermark, cfg.Log.LogStartOffset()), cfg.Log.LogEndOffset())
	return r
}

// ID names the partition.
func (r *Replica) ID() metadata.TopicPartition { return r.cfg.ID }

// Topic is the name of the partition's topic.
func (r *Replica) Topic() string { return r.cfg.Topic }

// Log is the replica's log. Only the replica changes it, but for syncs,
// configs and what retention removes.
func (r *Replica) Log() *partition.Log { return r.cfg.Log }

// Apply takes the newest state of the partition from the metadata log; an older
// one changes nothing. It never waits for the disk: from now on the old role
// serves nobody, and the new one is taken at once if that needs no disk and the
// log is free. Otherwise it reports false, and the role is taken by whoever holds
// the log, by the next request, or by Settle.
func (r *Replica) Apply(state metadata.Partition, now time.Time) (settled bool) {
	r.mu.Lock()
	switch {
	case r.closed || r.applied && state.PartitionEpoch <= r.state.PartitionEpoch:
		defer r.mu.Unlock()
		return !r.pending
	case r.applied && state.LeaderEpoch == r.state.LeaderEpoch:
		r.state = state
		pending := r.pending
		r.mu.Unlock()
		settings := r.settings(len(state.Replicas))
		r.lead(now, func(l *Leader, at Moment) Consequence {
			l.Configure(settings)
			return l.Committed(state, at)
		})
		return !pending
	case r.role == Leading && !guard.StepDown.Holds():
		r.mu.Unlock()
		return true
	}
	if r.role == Leading {
		r.follower.hw = r.leader.HighWatermark()
	}
	r.state, r.applied, r.pending, r.role = state, true, true, NoRole
	r.publishLocked()
	r.mu.Unlock()
	r.notify()

	if state.Leader == r.cfg.Self || !r.tryTake() {
		return false
	}
	r.settle()
	r.release()
	return true
}

// Settle takes a role that Apply left pending, unless somebody is at it. It may
// wait for the disk. Every request does the same, so calling it only saves time.
func (r *Replica) Settle() {
	if r.isPending() && r.tryTake() {
		r.settle()
		r.release()
	}
}

// settle takes the pending role. The caller holds the slot.
func (r *Replica) settle() {
	for {
		r.mu.Lock()
		state, pending := r.state, r.pending
		r.mu.Unlock()
		if !pending {
			return
		}
		leading := state.Leader == r.cfg.Self
		if err := r.prepare(state, leading); err != nil {
			r.failed(err)
			return
		}
		end, settings, at := r.cfg.Log.LogEndOffset(), r.settings(len(state.Replicas)), r.moment(time.Now())

		r.mu.Lock()
		if r.closed || r.state.LeaderEpoch != state.LeaderEpoch {
			r.mu.Unlock()
			continue // the role has changed again
		}
		var c Consequence
		r.pending = false
		if leading {
			r.role = Leading
			r.leader.Configure(settings)
			c = r.leader.Begin(r.state, end, r.follower.hw, at)
		} else {
			r.role, r.catchUp = Following, catchUp{}
			r.follower.Begin(state.LeaderEpoch, min(r.follower.hw, end))
		}
		r.publishLocked()
		r.mu.Unlock()
		if leading {
			r.emit(event.EpochStarted, state.LeaderEpoch, map[string]any{"epoch": state.LeaderEpoch, "offset": end})
		}
		r.after(c)
		r.notify()
		return
	}
}

// prepare does what a role needs of the log before it begins.
func (r *Replica) prepare(state metadata.Partition, leading bool) error {
	if leading {
		return r.cfg.Log.StartEpoch(state.LeaderEpoch)
	}
	if !guard.TruncateByEpoch.Holds() {
		_, err := r.cfg.Log.Truncate(r.HighWatermark())
		return err
	}
	return nil
}

// Close ends the role for good and wakes every waiter with ErrNotLeaderOrFollower.
// It does not close the log.
func (r *Replica) Close() {
	r.mu.Lock()
	if r.role == Leading {
		r.follower.hw = r.leader.HighWatermark()
	}
	r.closed, r.pending, r.role = true, false, NoRole
	r.publishLocked()
	r.mu.Unlock()
	r.notify()
}

// Tick looks at the clock, at the topic's config and at the brokers. It is to be
// called every half of replica.lag.time.max.ms, and when the registration of a
// broker or the config of the topic has changed.
func (r *Replica) Tick(now time.Time) {
	r.Settle()
	r.mu.Lock()
	assigned := len(r.state.Replicas)
	r.mu.Unlock()
	settings := r.settings(assigned)
	r.lead(now, func(l *Leader, at Moment) Consequence {
		l.Configure(settings)
		return l.Tick(at)
	})
}

// Answered takes the coordinator's answer to a proposal. Success is only
// believed from the metadata log.
func (r *Replica) Answered(p Proposal, err error, now time.Time) {
	r.lead(now, func(l *Leader, at Moment) Consequence { return l.Answered(p, err, at) })
}

// lead lets something happen to the leader, if this replica leads, and does what
// follows from it.
func (r *Replica) lead(now time.Time, what func(*Leader, Moment) Consequence) {
	at := r.moment(now)
	r.mu.Lock()
	if r.role != Leading {
		r.mu.Unlock()
		return
	}
	c := what(r.leader, at)
	r.publishLocked()
	r.mu.Unlock()
	r.after(c)
	if c.Advanced {
		r.notify()
	}
}

// publishLocked shows the current state to those who wait for the high watermark.
func (r *Replica) publishLocked() {
	if r.role != Leading {
		r.marks.set(mark{})
		return
	}
	r.marks.set(mark{open: true, epoch: r.state.LeaderEpoch, offset: r.leader.HighWatermark(), short: r.leader.UnderMinISR()})
}

// after does what follows from an event. No lock is held.
func (r *Replica) after(c Consequence) {
	if c.Advanced && r.cfg.Events.Wants(event.HWAdvanced) {
		r.mu.Lock()
		epoch, hw := r.state.LeaderEpoch, r.highWatermarkLocked()
		r.mu.Unlock()
		r.emit(event.HWAdvanced, epoch, map[string]any{"hw": hw})
	}
	if c.Propose != nil {
		r.cfg.Propose(*c.Propose)
	}
}

func (r *Replica) emit(kind event.Kind, epoch int32, data map[string]any) {
	tp := r.cfg.ID.Partition
	r.cfg.Events.Emit(event.Event{
		Kind: kind, Node: r.cfg.Node, Topic: r.cfg.Topic, Part: tp, Data: data,
		Because: []event.Key{event.LeaderKey(r.cfg.Topic, tp, epoch)},
	})
}

func (r *Replica) moment(now time.Time) Moment { return Moment{Now: now, Brokers: r.cfg.Image()} }

func (r *Replica) settings(assigned int) LeaderSettings {
	config := r.cfg.Config()
	return LeaderSettings{
		MinISR:     metadata.EffectiveMinISR(config.MinInsyncReplicas, assigned),
		LagTimeMax: r.cfg.LagTimeMax(),
		SelfEpoch:  r.cfg.SelfEpoch(),
	}
}

// failed gives up: a disk that lost a write cannot be trusted with the next one.
// Of a replica that is closed it is no news: its log may be closed, too.
func (r *Replica) failed(err error) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return
	}
	r.Close()
	if r.cfg.Failed != nil {
		r.cfg.Failed(fmt.Errorf("%s: %w", r, err))
	}
}

// String names the partition for people: orders-0.
func (r *Replica) String() string { return fmt.Sprintf("%s-%d", r.cfg.Topic, r.cfg.ID.Partition) }

// take waits for the log. The caller must release it.
func (r *Replica) take(ctx context.Context) error {
	select {
	case r.slot <- struct{}{}:
		return nil
	default:
	}
	select {
	case r.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Replica) tryTake() bool {
	select {
	case r.slot <- struct{}{}:
		return true
	default:
		return false
	}
}

// release gives the log back and takes the role that was left pending meanwhile.
// Who leaves one behind looked for the slot after saying so; hence one of the two
// always sees the other.
func (r *Replica) release() {
	for {
		<-r.slot
		if !r.isPending() || !r.tryTake() {
			return
		}
		r.settle()
	}
}

func (r *Replica) isPending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}

// A Subscriber is told that a replica's log end, high watermark, log start or
// role changed. News is called without locks, from the goroutine that made the
// change, and must not block.
type Subscriber interface{ News(r *Replica) }

// Subscribe begins to tell s. What happened before the call it must look up itself.
func (r *Replica) Subscribe(s Subscriber) {
	r.resubscribe(func(all []Subscriber) []Subscriber { return append(slices.Clone(all), s) })
}

// Unsubscribe ends it. A call of News that has begun may still be under way.
func (r *Replica) Unsubscribe(s Subscriber) {
	r.resubscribe(func(all []Subscriber) []Subscriber {
		i := slices.Index(all, s)
		if i < 0 {
			return all
		}
		return slices.Delete(slices.Clone(all), i, i+1)
	})
}

// resubscribe replaces the list, which readers never see change.
func (r *Replica) resubscribe(change func([]Subscriber) []Subscriber) {
	for {
		old := r.subscribers.Load()
		var all []Subscriber
		if old != nil {
			all = *old
		}
		next := change(all)
		if r.subscribers.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (r *Replica) notify() {
	if all := r.subscribers.Load(); all != nil {
		for _, s := range *all {
			s.News(r)
		}
	}
}
