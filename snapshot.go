package brokersim

import (
	"slices"
	"time"

	"github.com/brokersim/brokersim/event"
)

// An Event is one thing that happened; see package event for the kinds.
type Event = event.Event

// A Snapshot is a view of the whole cluster that no node of it could have:
// what the coordinator decided, and what every running replica knows itself.
// It is a value; nothing in it changes later.
//
// The coordinator's decisions in it are of one metadata offset. The replicas are
// asked one after another, each atomically: while records are being written, a
// replica that was asked later may be further. What groups have committed is asked before
// them, so no offset of a group is further than the records that it counts.
type Snapshot struct {
	Time       time.Time
	Seq        uint64           // of the newest event when it was begun
	Offset     int64            // metadata offset of the newest decision
	Partitions []PartitionState // by topic and number
	Brokers    []BrokerState    // by id
	Groups     []GroupState     // by id
	Quorum     QuorumState
	Faults     []FaultState // in force, oldest first

	served []bool // partitions of __consumer_offsets whose leader knows what is committed
}

// PartitionState is the cluster's decision about one partition, and its replicas.
type PartitionState struct {
	Topic           string
	Partition       int32
	Leader          int32 // -1: none
	LeaderEpoch     int32
	PartitionEpoch  int32
	Assigned        []int32 // in preference order
	ISR, ELR        []int32
	LastKnownLeader int32          // -1: not recorded
	Compacted       bool           // its topic is: replicas that agree may have left out different records
	Recovering      bool           // elected uncleanly, and the leader has not said yet that it recovered
	MinISR          int            // effective: never more than the replication factor
	HighWatermark   int64          // the leader's; -1 while no leader runs
	LowWatermark    int64          // below it no replica that counts has a record, as the leader knows; -1: not known
	MaximalISR      []int32        // committed or proposed, as the leader counts it; nil while no leader runs
	Replicas        []ReplicaState // of the running brokers, in order of Assigned
}

// Replica returns the replica on a broker.
func (p PartitionState) Replica(broker int32) (ReplicaState, bool) {
	i := slices.IndexFunc(p.Replicas, func(r ReplicaState) bool { return r.Broker == broker })
	if i < 0 {
		return ReplicaState{}, false
	}
	return p.Replicas[i], true
}

// ReplicaState is what a replica knows itself, but for the last five, which are
// the coordinator's and the leader's view of it.
type ReplicaState struct {
	Broker            int32
	LogStart, LEO, HW int64
	Leads             bool  // it believes to lead, in LeaderEpoch
	LeaderEpoch       int32 // the newest that it has heard of
	EpochStarts       []EpochStart

	InSync       bool      // in the ISR that the coordinator committed
	Eligible     bool      // in the ELR
	KnownStart   int64     // its log start as far as the leader knows, and the replica's disk remembers; -1 as KnownLEO
	KnownLEO     int64     // its log end as far as the leader knows, -1: not heard of in this epoch
	LastCaughtUp time.Time // when it was level with the leader's log end; zero if the leader cannot tell
}

// EpochStart says at which offset a leader epoch begins in a log.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

// Process is what has become of a node's process.
type Process string

const (
	Running Process = "running"
	Paused  Process = "paused"
	Stopped Process = "stopped" // by controlled shutdown
	Killed  Process = "killed"
	Off     Process = "off"    // power loss
	Failed  Process = "failed" // it gave up by itself, as when its disk failed
)

// Up reports whether the process exists.
func (p Process) Up() bool { return p == Running || p == Paused }

// Registration is what the coordinator thinks of a broker.
type Registration string

const (
	Unfenced     Registration = "unfenced"
	Fenced       Registration = "fenced"
	ShuttingDown Registration = "shutting-down"
	Unknown      Registration = "unknown" // it never registered
)

// BrokerState is a broker's process and its registration.
type BrokerState struct {
	ID           int32
	Rack         string
	Process      Process
	Failure      string // why the process gave up, if it is Failed
	Registration Registration
	Epoch        int64 // broker epoch of the newest registration, -1: never registered
	Offset       int64 // metadata offset that it has applied, -1 while it is down
}

// QuorumState is the state of the coordinator.
type QuorumState struct {
	Active string // the active coordinator node; "" while there is none
	Epoch  uint64 // its term
	Nodes  []NodeState
}

// NodeState is one coordinator node.
type NodeState struct {
	Name    string // "coordinator-1"
	Process Process
	Failure string // why the process gave up, if it is Failed
	Offset  int64  // metadata offset that it has applied, -1 while it is down
}

// FaultState is a fault in force.
type FaultState struct {
	ID   int
	What string
	From time.Time
}

// Partition returns a partition of the snapshot.
func (s Snapshot) Partition(topic string, partition int32) (PartitionState, bool) {
	i, ok := slices.BinarySearchFunc(s.Partitions, PartitionState{Topic: topic, Partition: partition}, byName)
	if !ok {
		return PartitionState{}, false
	}
	return s.Partitions[i], true
}

func byName(a, b PartitionState) int {
	switch {
	case a.Topic < b.Topic:
		return -1
	case a.Topic > b.Topic:
		return 1
	}
	return int(a.Partition) - int(b.Partition)
}

// Broker returns a broker of the snapshot.
func (s Snapshot) Broker(id int32) (BrokerState, bool) {
	i := slices.IndexFunc(s.Brokers, func(b BrokerState) bool { return b.ID == id })
	if i < 0 {
		return BrokerState{}, false
	}
	return s.Brokers[i], true
}
