package peers

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// speaker is a cluster that speaks Kafka's protocol: everybody's client is kgo.
type speaker struct {
	topic string
	addrs []string
	dial  func(ctx context.Context, network, addr string) (net.Conn, error) // nil: TCP
	whole func(tb testing.TB, records int64)                                // looks at the replicas; nil: nobody can
	stop  func()
}

func (s *speaker) close() { s.stop() }

// client returns kgo's client as everybody gets it: its defaults, which are
// idempotent and acks=all, without linger and without compression, which would be
// measured instead of the server.
func (s *speaker) client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	all := []kgo.Opt{
		kgo.SeedBrokers(s.addrs...),
		kgo.DefaultProduceTopic(s.topic),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}
	if s.dial != nil {
		all = append(all, kgo.Dialer(s.dial))
	}
	client, err := kgo.NewClient(append(all, opts...)...)
	require.NoError(tb, err)
	return client
}

func (s *speaker) requireRecords(tb testing.TB, records int64) {
	client := s.client(tb)
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), s.topic)
	require.NoError(tb, err)
	require.NoError(tb, ends.Error())
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	require.Equal(tb, records, sum)
	if s.whole != nil {
		s.whole(tb, records)
	}
}

func (s *speaker) producer(tb testing.TB) producer { return kgoProducer{s.client(tb)} }

type kgoProducer struct{ client *kgo.Client }

func (p kgoProducer) close() { p.client.Close() }

func (p kgoProducer) send(value []byte, records int) error {
	acked, failed := 0, error(nil) // promises are called one at a time
	for range records {
		p.client.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if acked++; err != nil {
				failed = err
			}
		})
	}
	if err := p.client.Flush(context.Background()); err != nil {
		return err
	}
	return complete(acked, records, failed)
}

func (p kgoProducer) one(value []byte) error {
	return p.client.ProduceSync(context.Background(), &kgo.Record{Value: value}).FirstErr()
}
