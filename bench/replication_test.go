package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// How fast does a follower catch up that has nothing? One broker of three loses its disk;
// an operation is its start with an empty one until it is in every ISR again, with 256 MiB
// in six partitions to copy from the leaders over the network in memory.
func BenchmarkReplication(b *testing.B) {
	for _, on := range []string{"memory", "disk"} {
		b.Run("on="+on, func(b *testing.B) { catchUp(b, on) })
	}
}

func catchUp(b *testing.B, on string) {
	const records = 256 << 10
	c := startOn(b, on, brokersim.Topic(topic, 6, 3))
	client := newClient(b, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	value := make([]byte, 1<<10)
	fill(value)
	send(b, client, value, records)
	follower := c.Broker(3)
	b.SetBytes(records << 10)
	var took time.Duration
	for b.Loop() {
		b.StopTimer()
		require.NoError(b, follower.Kill())
		c.Must(brokersim.Registered(3, brokersim.Fenced))
		require.NoError(b, follower.Wipe())
		b.StartTimer()
		began := time.Now()
		require.NoError(b, follower.Start())
		c.Must(brokersim.FullISR())
		took += time.Since(began)
	}
	b.ReportMetric(ms(took)/float64(b.N), "ms/catch-up")
	requireOnAll(b, c, 3, records)
}
