package replication

import (
	"context"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/metadata"
)

// A FetcherConfig is what a fetcher is made from.
type FetcherConfig struct {
	Leader            int32
	Endpoint          LeaderEndpoint
	MaxWait           time.Duration // replica.fetch.wait.max.ms
	MaxBytes          int           // of one answer
	PartitionMaxBytes int           // replica.fetch.max.bytes: of one partition in it
	Backoff           time.Duration // after an error, of one partition or of the connection
	Gate              *gate.Gate
	Events            event.Sink
	Node              string
	Seed              uint64 // of the jitter
}

type Fetcher struct{}

func NewFetcher(cfg FetcherConfig) *Fetcher { panic("not built yet") }

// Run fetches until ctx ends, then closes the endpoint.
func (f *Fetcher) Run(ctx context.Context) error { panic("not built yet") }

// Add begins to fetch a replica that follows this fetcher's leader, or looks at it again after its leader epoch changed.
func (f *Fetcher) Add(r *Replica) { panic("not built yet") }

// Remove stops fetching a partition.
func (f *Fetcher) Remove(id metadata.TopicPartition) { panic("not built yet") }
