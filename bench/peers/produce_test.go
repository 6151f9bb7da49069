package peers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

const partitions = 6

// Who takes how many records a second from one asynchronous client? An operation
// is a load of 256 MiB, but two million records at most, produced as fast as kgo's
// buffer lets them in, until the last one is acknowledged by all in-sync replicas.
// cpu-ns/record counts the client's work too: both are one process.
func BenchmarkProduce(b *testing.B) {
	tcp := []contender{ours(1, "memory"), inMemory(), ours(3, "memory")}
	for _, size := range []int{100, 1 << 10, 16 << 10, 128 << 10} {
		ask := func(heap heap, where string, who ...contender) {
			b.Run(fmt.Sprintf("record=%s/on=%s/heap=%s", sized(size), where, heap), func(b *testing.B) {
				heap.against(b, who, partitions, func(b *testing.B, c *cluster) { produce(b, c, size) })
			})
		}
		ask(used, "memory/net=tcp", tcp...)
		if size == 1<<10 {
			ask(fresh, "memory/net=tcp", tcp...)
			ask(used, "memory/net=memory", ours(3, "memory", brokersim.InMemoryClients()), virtual())
			ask(fresh, "memory/net=memory", ours(3, "memory", brokersim.InMemoryClients()), virtual())
			ask(used, "disk/net=tcp", ours(3, "disk"), onDisk())
		}
	}
}

func produce(b *testing.B, c *cluster, size int) {
	client := c.client(b)
	defer client.Close()
	records := min(256<<20/size, 2_000_000)
	value := payload(size)
	send(b, client, value, records/8) // connections, producer ids, first segments
	sent := int64(records / 8)
	b.SetBytes(int64(records) * int64(size))
	before := cpuTime(b)
	for b.Loop() {
		send(b, client, value, records)
		sent += int64(records)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpuTime(b)-before)/float64(records)/float64(b.N), "cpu-ns/record")
	c.requireRecords(b, client, sent)
}

// send produces records and waits until each is acknowledged.
func send(b *testing.B, client *kgo.Client, value []byte, records int) {
	var acked, failed atomic.Int64
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
		}
		acked.Add(1)
	}
	for range records {
		client.Produce(context.Background(), &kgo.Record{Value: value}, done)
	}
	require.NoError(b, client.Flush(context.Background()))
	require.EqualValues(b, records, acked.Load())
	require.Zero(b, failed.Load())
}

// payload returns bytes that nothing can compress.
func payload(size int) []byte {
	value := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(value)
	return value
}

func sized(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}
