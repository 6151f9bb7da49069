package peers

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A contender is a system in one configuration.
type contender struct {
	name    string // as in system=NAME
	promise string // what an acknowledgement means: replication and durability
	start   func(tb testing.TB, partitions int) *cluster
}

// A cluster is a contender that runs, with an empty topic.
type cluster struct {
	topic string
	addrs []string
	dial  func(ctx context.Context, network, addr string) (net.Conn, error) // nil: TCP
	// whole checks that every replica has the records, as far as that can be seen
	// from outside.
	whole func(tb testing.TB, records int64)
	close func()
}

// against asks one contender after the other the same. Each finds the same heap, whoever
// was before it.
func (h heap) against(b *testing.B, contenders []contender, partitions int, ask func(b *testing.B, c *cluster)) {
	for _, who := range contenders {
		b.Run("system="+who.name, func(b *testing.B) {
			h.prepare()
			c := who.start(b, partitions)
			defer c.close()
			ask(b, c)
		})
	}
}

// client returns kgo's client as everybody gets it: its defaults, which are
// idempotent and acks=all, without linger and without compression, which would be
// measured instead of the server.
func (c *cluster) client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	all := []kgo.Opt{
		kgo.SeedBrokers(c.addrs...),
		kgo.DefaultProduceTopic(c.topic),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	}
	if c.dial != nil {
		all = append(all, kgo.Dialer(c.dial))
	}
	client, err := kgo.NewClient(append(all, opts...)...)
	require.NoError(tb, err)
	return client
}

// requireRecords checks that the topic holds that many records, by its offsets as a
// client sees them, and on each replica.
func (c *cluster) requireRecords(tb testing.TB, client *kgo.Client, records int64) {
	ends, err := kadm.NewClient(client).ListEndOffsets(context.Background(), c.topic)
	require.NoError(tb, err)
	require.NoError(tb, ends.Error())
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	require.Equal(tb, records, sum)
	if c.whole != nil {
		c.whole(tb, records)
	}
}
