package story

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// Topic is what all stories are about.
const Topic = "orders"

// NewClient returns a Kafka client for a cluster. It is an ordinary one: only the
// two pauses that would otherwise hide how fast a failover is are made short.
// kgo waits up to 5 s between looks at the metadata and 250 ms between retries by
// default.
func NewClient(c *brokersim.Cluster, opts ...kgo.Opt) (*kgo.Client, error) {
	pause := 20 * time.Millisecond
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Addrs()...),
		kgo.Dialer(c.Dial),
		kgo.MetadataMinAge(pause),
		kgo.RetryBackoffFn(func(int) time.Duration { return pause }),
	}, opts...)...)
}

// A Shop places orders, each under its id, so that the id's hash chooses the
// partition.
type Shop struct {
	client *kgo.Client
	ledger *Ledger
	wg     sync.WaitGroup

	// OnRecovery is called with an order's partition when its ack ends a failover.
	OnRecovery func(partition int32)
}

// NewShop opens a shop whose orders ask for the given acks. The caller must Close it.
func NewShop(c *brokersim.Cluster, ledger *Ledger, opts ...kgo.Opt) (*Shop, error) {
	client, err := NewClient(c, append([]kgo.Opt{
		kgo.DefaultProduceTopic(Topic),
		kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.AllISRAcks()),
	}, opts...)...)
	if err != nil {
		return nil, err
	}
	return &Shop{client: client, ledger: ledger}, nil
}

// Place places n orders, one every pause, without waiting for their acks.
func (s *Shop) Place(ctx context.Context, n int, pause time.Duration) error {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for range n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		s.placeOne(ctx)
	}
	return nil
}

func (s *Shop) placeOne(ctx context.Context) {
	id := s.ledger.Next()
	s.wg.Add(1)
	record := &kgo.Record{Key: []byte(id), Value: []byte("one of everything, please")}
	s.client.Produce(ctx, record, func(r *kgo.Record, err error) {
		defer s.wg.Done()
		if err != nil {
			s.ledger.Refused(id, err)
			return
		}
		if s.ledger.Acked(id, r.Partition) && s.OnRecovery != nil {
			s.OnRecovery(r.Partition)
		}
	})
}

// Settle waits until every order was acknowledged or refused.
func (s *Shop) Settle() { s.wg.Wait() }

// Close settles and closes the client.
func (s *Shop) Close() {
	s.Settle()
	s.client.Close()
}
