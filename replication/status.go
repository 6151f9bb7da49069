package replication

import (
	"time"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A Role is what a replica does for its partition.
type Role int8

const (
	// NoRole: nothing was applied yet, a role change is pending, or the replica is closed.
	NoRole Role = iota
	// Following: it copies the leader's log, or waits for a leader to appear.
	Following
	// Leading: it takes appends and serves reads.
	Leading
)

func (r Role) String() string {
	switch r {
	case Following:
		return "follower"
	case Leading:
		return "leader"
	default:
		return "none"
	}
}

// A Status is what one replica knows, at one moment.
type Status struct {
	Topic          string
	ID             metadata.TopicPartition
	Broker         int32
	Role           Role
	Leader         int32 // that it knows of; metadata.NoLeader if none
	LeaderEpoch    int32
	PartitionEpoch int32
	LogStartOffset int64
	LogEndOffset   int64
	HighWatermark  int64
	EpochStarts    []partition.EpochStart
	ISR            []int32 // committed, as this replica knows it

	// Of a leader only.
	EpochStartOffset int64            // where its leader epoch began
	LowWatermark     int64            // where every replica that counts starts; -1 of a follower, or not known
	MaximalISR       []int32          // ISR and what is proposed to join it
	Followers        []FollowerStatus // in the order of assignment
}

// A FollowerStatus is what a leader knows of one follower.
type FollowerStatus struct {
	Broker       int32
	LogStart     int64     // that its disk remembers; -1: it has not fetched in this leader epoch
	LogEndOffset int64     // -1 likewise
	LastCaughtUp time.Time // zero: never in this leader epoch
	InSync       bool      // in the committed ISR
}

// HighWatermark is what this replica knows to be committed, in whatever role.
func (r *Replica) HighWatermark() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.highWatermarkLocked()
}

func (r *Replica) leaderEpoch() int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.LeaderEpoch
}

func (r *Replica) highWatermarkLocked() int64 {
	if r.role == Leading {
		return r.leader.HighWatermark()
	}
	return r.follower.HighWatermark()
}

// Status is for people, tests and invariants. The log may move on while it is read.
func (r *Replica) Status() Status {
	s := Status{Topic: r.cfg.Topic, ID: r.cfg.ID, Broker: r.cfg.Self, Leader: metadata.NoLeader}
	at := r.moment(time.Now())
	r.mu.Lock()
	s.LowWatermark = r.lowWatermarkLocked(at)
	s.Role, s.HighWatermark = r.role, r.highWatermarkLocked()
	if r.applied {
		s.Leader, s.LeaderEpoch, s.PartitionEpoch, s.ISR = r.state.Leader, r.state.LeaderEpoch, r.state.PartitionEpoch, r.state.ISR
	}
	if r.role == Leading {
		s.EpochStartOffset, s.MaximalISR, s.Followers = r.leader.EpochStart(), r.leader.MaximalISR(), r.leader.Followers()
	}
	r.mu.Unlock()
	log := r.cfg.Log
	s.LogStartOffset, s.LogEndOffset, s.EpochStarts = log.LogStartOffset(), log.LogEndOffset(), log.Epochs()
	return s
}
