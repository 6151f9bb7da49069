package invariant

import "github.com/brokersim/brokersim/metadata"

// Decided is what the coordinator decided about a partition.
type Decided = metadata.Partition

// A View is what was seen of one partition.
type View struct {
	Topic     string
	Partition int32

	Decided Decided
	MinISR  int            // effective
	Inside  map[int32]bool // brokers that are registered and not fenced; nil: not known
	// Unclean says that a leader was elected who might not have held all that is
	// committed: replicas outside the ISR may still hold what was given up.
	Unclean bool
	// Compacted says that each replica leaves out records for itself, so that logs that
	// agree need not be equal.
	Compacted bool

	Replicas []Replica // of running brokers
}

// A Replica is what was seen of one replica.
type Replica struct {
	Broker      int32
	Leads       bool
	LeaderEpoch int32
	LogStart    int64
	HW          int64
	LEO         int64
	MaximalISR  []int32 // of a leader: who must hold what it calls committed
	// FollowerEnds is what a leader knows of the log ends of its maximal ISR, itself
	// included, at the moment of HW.
	FollowerEnds map[int32]int64
	Batches      []Batch // those below HW, or the newest of them
}

// A Batch is one stored batch; Sum is equal for equal bytes.
type Batch struct {
	Base, Last int64
	Epoch      int32
	Bytes      int
	Sum        uint32
}
