package replication

import (
	"context"
	"time"

	"github.com/brokersim/brokersim/event"
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

type Replica struct{}

func NewReplica(cfg ReplicaConfig) *Replica { panic("not built yet") }

// Apply takes the newest state of the partition from the metadata log.
func (r *Replica) Apply(p metadata.Partition, now time.Time) { panic("not built yet") }

// Close ends the role and wakes every waiter with ErrNotLeaderOrFollower.
func (r *Replica) Close() { panic("not built yet") }

// Appended is where a batch came to lie, and under which leadership.
type Appended struct {
	partition.AppendInfo
	Epoch int32
}

func (r *Replica) Append(ctx context.Context, batch []byte, acks int16, now time.Time) (Appended, error) {
	panic("not built yet")
}
func (r *Replica) AwaitCommitted(ctx context.Context, a Appended) error { panic("not built yet") }

// A ReadRequest asks for records.
type ReadRequest struct {
	Offset             int64
	MaxBytes           int
	AtLeastOne         bool  // the first batch comes whole even if it is above MaxBytes
	CurrentLeaderEpoch int32 // that the asker believes in; -1: not known (consumers only)
	LastFetchedEpoch   int32 // epoch of the record before Offset; -1: not known
	Follower           int32 // broker id; -1: a consumer
	FollowerEpoch      int64 // the follower's broker epoch
	FollowerLogStart   int64
}

// A ReadResult answers a ReadRequest. With Err set, the offsets are those that
// are known, -1 for the others.
type ReadResult struct {
	Records        []byte // the buffer given to Read, with records appended
	HighWatermark  int64
	LogStartOffset int64
	LogEndOffset   int64
	Diverging      *partition.EpochEnd // instead of records
	Err            error
}

func (r *Replica) Read(buf []byte, req ReadRequest, now time.Time) ReadResult { panic("not built yet") }

// A Subscriber is told that a replica's log end, high watermark, log start or
// role changed. News is called without locks, from the goroutine that made the
// change, and must not block.
type Subscriber interface{ News(r *Replica) }

func (r *Replica) Subscribe(s Subscriber)   { panic("not built yet") }
func (r *Replica) Unsubscribe(s Subscriber) { panic("not built yet") }

// EndOffset answers ListOffsets(latest): the high watermark and the epoch of the leader.
func (r *Replica) EndOffset(currentLeaderEpoch int32) (offset int64, epoch int32, err error) {
	panic("not built yet")
}

// StartOffset answers ListOffsets(earliest).
func (r *Replica) StartOffset(currentLeaderEpoch int32) (offset int64, epoch int32, err error) {
	panic("not built yet")
}
func (r *Replica) EndOffsetForEpoch(currentLeaderEpoch, epoch int32) (partition.EpochEnd, error) {
	panic("not built yet")
}

// Tick is to be called every half of replica.lag.time.max.ms, and whenever a broker's registration changed.
func (r *Replica) Tick(now time.Time)                            { panic("not built yet") }
func (r *Replica) Answered(p Proposal, err error, now time.Time) { panic("not built yet") }
func (r *Replica) Status() Status                                { panic("not built yet") }
func (r *Replica) HighWatermark() int64                          { panic("not built yet") }
func (r *Replica) Leading() (epoch int32, ok bool)               { panic("not built yet") }
func (r *Replica) ID() metadata.TopicPartition                   { panic("not built yet") }
func (r *Replica) Topic() string                                 { panic("not built yet") }
func (r *Replica) Log() *partition.Log                           { panic("not built yet") }
