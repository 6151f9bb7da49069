package peers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
)

const partitions = 6

// Who takes how many records a second from one asynchronous client? An operation
// is a load of 256 MiB, or of two million records if they are small, produced as fast as kgo's
// buffer lets them in, until the last one is acknowledged by all in-sync replicas.
// cpu-ns/record counts the client's work too: both are one process.
func BenchmarkProduce(b *testing.B) {
	tcp := []contender{nothing(), ours(1, "memory"), inMemory(), ours(3, "memory")}
	for _, size := range []int{100, 1 << 10, 16 << 10, 128 << 10} {
		ask := func(heap heap, where string, who ...contender) {
			b.Run(fmt.Sprintf("record=%s/on=%s/heap=%s", sized(size), where, heap), func(b *testing.B) {
				heap.against(b, who, partitions, func(b *testing.B, c cluster) { produce(b, c, where, size, 256<<20) })
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

// And beside those who replicate to three nodes, with loads of 64 MiB, or half a million
// records, since that takes them long enough.
func BenchmarkProduceReplicated(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 16 << 10} {
		for _, where := range []string{"memory", "disk"} {
			b.Run(fmt.Sprintf("record=%s/on=%s", sized(size), where), func(b *testing.B) {
				used.against(b, replicated(where), partitions, func(b *testing.B, c cluster) { produce(b, c, where, size, 64<<20) })
			})
		}
	}
}

// replicated are those who keep three copies, on disk or in memory.
func replicated(where string) []contender {
	if where == "memory" {
		return []contender{ours(3, where), nats(where)}
	}
	return []contender{ours(3, where), nats(where), kafka()}
}

func produce(b *testing.B, c cluster, where string, size, load int) {
	if strings.HasPrefix(where, "disk") {
		touchPageCache(b)
	}
	p := c.producer(b)
	defer p.close()
	records := min(load/size, load>>7)
	value := payload(size)
	require.NoError(b, p.send(value, records/8)) // connections, producer ids, first segments
	sent := int64(records / 8)
	b.SetBytes(int64(records) * int64(size))
	before := cpuTime(b)
	for b.Loop() {
		require.NoError(b, p.send(value, records))
		sent += int64(records)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpuTime(b)-before)/float64(records)/float64(b.N), "cpu-ns/record")
	c.requireRecords(b, sent)
}

// complete is what became of a load.
func complete(acked, records int, failed error) error {
	if failed == nil && acked != records {
		return fmt.Errorf("%d of %d records were acknowledged", acked, records)
	}
	return failed
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
