package bench

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// How long from nothing to the first acknowledged record? Three coordinator
// nodes, three brokers, a topic with replication factor three, a client over TCP.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		c := brokertest.Start(b, brokersim.Topic(topic, 3, 3))
		client := newClient(b, c)
		err := client.ProduceSync(context.Background(), kgo.StringRecord("first")).FirstErr()

		b.StopTimer()
		require.NoError(b, err)
		client.Close()
		require.NoError(b, c.Close())
		b.StartTimer()
	}
	b.ReportMetric(ms(b.Elapsed())/float64(b.N), "ms/start")
}
