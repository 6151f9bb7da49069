package bench

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// What do partitions cost? Three brokers, replication factor three, in memory. An
// operation is a whole life: the topic is created (create-ms, until every partition has
// a leader that knows it and a full ISR), the cluster is left alone (heap-MiB; idle-%,
// of one core, if they are ten thousand), a client writes 1 KiB records evenly to all partitions
// (records/s), and one broker is killed (leaders-ms, from its fencing until each partition
// that it led has another leader that serves it).
func BenchmarkManyPartitions(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("partitions=%d", n), func(b *testing.B) { manyPartitions(b, n, n == 10_000) })
	}
}

func manyPartitions(b *testing.B, n int, alone bool) {
	var created, leaders time.Duration
	var heap, idle, rate float64
	for b.Loop() {
		before := liveHeap()
		c := startLarge(b)
		began := time.Now()
		if err := c.CreateTopic(topic, n, 3); err != nil {
			_ = c.Close()
			b.Fatalf("%d partitions are more than it can create: %v", n, err)
		}
		must(b, c, brokersim.FullISR())
		created += time.Since(began)

		heap += float64(liveHeap()-before) / (1 << 20)
		if alone {
			idle += idleLoad()
		}
		rate += evenLoad(b, c, n)
		leaders += loseOne(b, c)
		require.NoError(b, c.Close())
	}
	count := float64(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(created)/count, "create-ms")
	b.ReportMetric(heap/count, "heap-MiB")
	if alone {
		b.ReportMetric(100*idle/count, "idle-%")
	}
	b.ReportMetric(rate/count, "records/s")
	b.ReportMetric(ms(leaders)/count, "leaders-ms")
}

// startLarge starts a cluster that remembers as many events as thousands of partitions
// make at once.
func startLarge(b *testing.B) *brokersim.Cluster {
	c, err := brokersim.New(b.Context(), quiet, brokersim.EventCapacity(1<<16))
	require.NoError(b, err)
	return c
}

func must(b *testing.B, c *brokersim.Cluster, cond brokersim.Cond) {
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	require.NoError(b, c.Wait(ctx, cond))
}

// idleLoad is the share of one core that the process uses while nobody asks for anything.
func idleLoad() float64 {
	debug.FreeOSMemory()  // what a cluster before this one had would be given back by and by
	pass(6 * time.Second) // the checkpoint after the creation is not idleness
	before, began := busy(), time.Now()
	pass(5 * time.Second) // of one checkpoint and several ticks
	return float64(busy()-before) / float64(time.Since(began))
}

// evenLoad writes to one partition after the other, and returns how many records a
// second were acknowledged.
func evenLoad(b *testing.B, c *brokersim.Cluster, partitions int) float64 {
	const records = 200_000
	client := newClient(b, c, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	value := make([]byte, 1<<10)
	warm := max(partitions, records/10)
	sendEvenly(b, client, value, partitions, warm)
	began := time.Now()
	sendEvenly(b, client, value, partitions, records)
	took := time.Since(began)
	sum := int64(0)
	for _, p := range c.Snapshot().Partitions {
		sum += p.HighWatermark
	}
	require.EqualValues(b, warm+records, sum)
	return records / took.Seconds()
}

func sendEvenly(b *testing.B, client *kgo.Client, value []byte, partitions, records int) {
	var failed error // promises are called one at a time
	for i := range records {
		client.Produce(context.Background(), &kgo.Record{Value: value, Partition: int32(i % partitions)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	require.NoError(b, client.Flush(context.Background()))
	require.NoError(b, failed)
}

// loseOne kills a broker and returns how long after its fencing everybody had a leader.
func loseOne(b *testing.B, c *brokersim.Cluster) time.Duration {
	must(b, c, brokersim.FullISR()) // a load on a busy machine can throw followers out
	victim := c.Leader(topic, 0)
	since := c.Snapshot().Seq
	fenced := make(chan time.Time, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for e := range c.Events(ctx, since) {
			if e.Kind == event.BrokerFenced && e.Data["broker"] == victim.ID() {
				fenced <- time.Now()
				return
			}
		}
	}()
	require.NoError(b, victim.Kill())
	at := <-fenced
	must(b, c, othersLead(victim.ID()))
	return time.Since(at)
}

// othersLead holds when each partition is led, in its newest epoch, by another broker.
func othersLead(gone int32) brokersim.Cond {
	return func(s brokersim.Snapshot) (bool, string) {
		for _, p := range s.Partitions {
			leader, ok := p.Replica(p.Leader)
			if p.Leader == gone || !ok || !leader.Leads || leader.LeaderEpoch != p.LeaderEpoch {
				return false, fmt.Sprintf("a leader of %s-%d", p.Topic, p.Partition)
			}
		}
		return true, ""
	}
}
