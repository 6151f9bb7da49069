package replication

import (
	"fmt"
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
	Starts        StartKeeper          // nil: the log's own files are all there is
	Events        event.Sink
	Node          string      // of events
	Stirred       func()      // Tick has something to look at; nil: it is called in any case
	Failed        func(error) // the disk failed or is damaged: the broker must go down

	// Cut, if not nil, hears that the log was cut or reset to an offset before
	// anything is appended there. Unlike the others it may wait for the disk; its
	// error is the disk's.
	Cut func(to int64) error
}

// A Replica is one broker's copy of a partition: a log, the role that the
// metadata log gives to it, and those who wait for it. It has no goroutine. All
// methods are safe for concurrent use.
//
// Two things keep it in order. The mutex guards what is known and is never held
// while anything is done. The slot is held by whoever changes the log, disk calls
// included, or changes the role; so a batch that is being written when the role
// changes ends up wholly in the old leadership, and the new one starts after it.
// An append is staged with the slot held, and waits without it for its write and for
// the sync that it owes, so that more can be written together. A new role waits until
// what was staged in the old one is written, and syncs what that still owed.
type Replica struct {
	cfg         ReplicaConfig
	slot        chan struct{} // holds one token while somebody changes the log or the role
	marks       Watermark     // high
	lows        Watermark     // low: where the log starts everywhere
	kept        atomic.Int64  // the log start that the disk remembers
	subscribers atomic.Pointer[[]Subscriber]
	stirred     atomic.Bool // said since the last Tick

	mu       sync.Mutex         // a leaf but for marks and lows
	state    metadata.Partition // the newest applied
	applied  bool               // there is a state
	pending  bool               // the role that state gives is not taken yet
	closed   bool
	role     Role // NoRole while pending
	leader   *Leader
	follower Follower
	catchUp  catchUp
	damage   *partition.CorruptError // the newest that was told of
}

// NewReplica returns a replica without a role. What was checkpointed as high
// watermark counts as far as the log still goes.
func NewReplica(cfg ReplicaConfig) *Replica {
	if cfg.Events == nil {
		cfg.Events = event.Discard
	}
	r := &Replica{cfg: cfg, slot: make(chan struct{}, 1), leader: NewLeader(cfg.Self, cfg.ID)}
	r.follower.hw = min(max(cfg.HighWatermark, cfg.Log.LogStartOffset()), cfg.Log.LogEndOffset())
	r.kept.Store(cfg.Log.LogStartOffset())
	return r
}

// ID names the partition.
func (r *Replica) ID() metadata.TopicPartition { return r.cfg.ID }

// Topic is the name of the partition's topic.
func (r *Replica) Topic() string { return r.cfg.Topic }

// Log is the replica's log. Only the replica changes it, but for syncs,
// configs and what retention and compaction remove.
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
	r.notify(anyChange)

	if state.Leader == r.cfg.Self || !r.tryTake() {
		return false
	}
	r.settle()
	r.release()
	return !r.isPending()
}

// Settle takes a role that Apply left pending, unless somebody is at it. It may
// wait for the disk. Every request does the same, so calling it only saves time.
func (r *Replica) Settle() {
	if r.mayTakeRole() && r.tryTake() {
		r.settle()
		r.release()
	}
}

// settle takes the pending role, if it may be taken. The caller holds the slot.
func (r *Replica) settle() {
	for r.mayTakeRole() {
		r.mu.Lock()
		state := r.state
		r.mu.Unlock()
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
			r.leader.StartsAt(r.cfg.Log.LogStartOffset())
			c = r.leader.Begin(r.state, end, r.follower.hw, at)
		} else {
			r.role, r.catchUp = Following, catchUp{}
			r.follower.Begin(state.LeaderEpoch, min(r.follower.hw, end))
		}
		r.publishLocked()
		r.publishLowLocked(at)
		r.mu.Unlock()
		if leading {
			r.emit(event.EpochStarted, state.LeaderEpoch, map[string]any{"epoch": state.LeaderEpoch, "offset": end})
		}
		r.after(c)
		r.notify(anyChange)
		return
	}
}

// prepare does what a role needs of the log before it begins: a leader's epoch is
// written down; a follower's log stays as it is (before KIP-101 it was cut to the
// high watermark).
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
func (r *Replica) Close() { r.end() }

// end is Close. It reports whether it was the first.
func (r *Replica) end() (first bool) {
	r.mu.Lock()
	first = !r.closed
	if r.role == Leading {
		r.follower.hw = r.leader.HighWatermark()
	}
	r.closed, r.pending, r.role = true, false, NoRole
	r.publishLocked()
	r.mu.Unlock()
	r.notify(anyChange)
	return first
}

// String names the partition for people: orders-0.
func (r *Replica) String() string { return fmt.Sprintf("%s-%d", r.cfg.Topic, r.cfg.ID.Partition) }
