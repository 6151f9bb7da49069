package replication

import (
	"context"
	"time"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A LeaderEndpoint reaches the broker that a Fetcher fetches from. It speaks
// through a fetch session (KIP-227): a request names only the partitions that
// changed since the one before, an answer only those with news. One goroutine
// uses it at a time.
type LeaderEndpoint interface {
	// Fetch sends one request and waits for its answer. When ctx ends it returns
	// at once, with an error or with an answer that came early. After any error
	// the session counts as lost: the next request is Full.
	//
	// An error that is ErrFetchSessionIDNotFound or ErrInvalidFetchSessionEpoch
	// comes from a leader that is well and only forgot the session; any other
	// means that the leader could not be reached.
	Fetch(ctx context.Context, req FetchRequest) (FetchResponse, error)
	Close() error
}

// A FetchRequest asks the leader for what follows in some partitions.
type FetchRequest struct {
	MaxWait  time.Duration // how long the leader may wait for MinBytes
	MinBytes int
	MaxBytes int
	// Full says that Partitions are all there are: a new session begins.
	Full       bool
	Partitions []FetchPartition          // new ones and those whose fields changed
	Forgotten  []metadata.TopicPartition // no longer wanted in the session; none if Full
}

// A FetchPartition is a follower's position in one partition.
type FetchPartition struct {
	ID                 metadata.TopicPartition
	Topic              string // the topic's name
	CurrentLeaderEpoch int32  // the epoch that the follower believes in
	FetchOffset        int64  // the follower's log end offset
	LastFetchedEpoch   int32  // epoch of the record before it; -1 if the log is empty
	LogStartOffset     int64  // the follower's
	MaxBytes           int
}

// A FetchResponse is the leader's answer: only partitions with news.
type FetchResponse struct {
	Partitions []FetchedPartition
}

// A FetchedPartition is the leader's answer for one partition.
type FetchedPartition struct {
	ID             metadata.TopicPartition
	HighWatermark  int64       // -1 if Err is set
	LogStartOffset int64       // also set with ErrOffsetOutOfRange; -1 if not known
	Records        []slab.Span // whole batches in each, perhaps a cut-off last one in the last
	// Diverging says that the follower's log parts from the leader's: the newest
	// epoch that the leader knows up to LastFetchedEpoch, and where it ends there.
	Diverging *partition.EpochEnd
	Err       error // one of metadata's sentinels
}
