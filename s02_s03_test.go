package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

const ordersLog = "orders-0/00000000000000000000.log"

// keepBatches cuts a broker's log of orders-0 behind its first n batches, by hand.
func keepBatches(t *testing.T, b *brokersim.Broker, n int) {
	t.Helper()
	disk := brokersim.FilesOf(b)
	content, err := vfs.ReadFile(disk, ordersLog)
	require.NoError(t, err)
	size, left := int64(0), n
	for batch := range partition.Batches(content) {
		if left--; left < 0 {
			break
		}
		size += batch.Size()
	}
	require.Less(t, size, int64(len(content)), "there is something to cut off")
	f, err := disk.Open(ordersLog)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Sync())
}

// stored is what a broker has of orders-0.
func stored(t *testing.T, c *brokertest.C, b *brokersim.Broker) []brokersim.Batch {
	t.Helper()
	r, ok := c.Partition("orders", 0).Replica(b.ID())
	require.True(t, ok)
	batches, err := b.Batches("orders", 0, 0, r.LEO)
	require.NoError(t, err)
	return batches
}

// truncatedTo is where the only truncation of the story cut.
func truncatedTo(t *testing.T, c *brokertest.C) (to any) {
	t.Helper()
	for _, e := range told(t, c) {
		if e.Kind == event.LogTruncated {
			require.Nil(t, to, "one cut only: %v", e)
			to = e.Data["to"]
		}
	}
	return to
}

// S02: both replicas lose power. The leader's disk has kept one record of two, the
// follower's both. The leader comes back first and writes another record at offset 1. The
// follower finds out that its own is another one, and takes the leader's. That a record is
// lost is the price of min.insync.replicas=1, and the election says so.
func TestS02DivergenceAfterBothCrash(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "m0", "m1")
		c.Must(brokersim.Replicated("orders", 0, 2))
		leader, follower := c.Leader("orders", 0), c.Followers("orders", 0)[0]
		require.NoError(t, follower.PowerOff())
		c.Must(brokersim.NotInISR("orders", 0, follower.ID()))
		require.NoError(t, leader.PowerOff())
		c.Must(brokersim.NoLeader("orders", 0))
		keepBatches(t, leader, 1)

		require.NoError(t, leader.Start())
		c.Must(brokersim.LedBy("orders", 0, leader.ID()))
		produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "another m1")
		require.NoError(t, follower.Start())
		c.Must(brokersim.FullISR())
		c.Must(brokersim.Replicated("orders", 0, 2))
		require.Equal(t, int64(1), truncatedTo(t, c))
		require.Equal(t, stored(t, c, leader), stored(t, c, follower))
		require.Equal(t, []string{"m0", "another m1"}, consume(t, c, "orders", 2))
		require.Len(t, electedUncleanly(t, c), 1)
	}, brokersim.Brokers(2), brokersim.Topic("orders", 1, 2, "flush.messages=1"))
}

// S03: a hundred records are on both replicas. Half of the leader's log is gone after a
// power loss, and it writes two batches of 77 records. The other replica's log now ends in
// the middle of one of them. It cuts back to where the histories part, and its offsets
// never run backwards.
func TestS03BatchOffsetsGoBackwards(t *testing.T) {
	onDisks(t, func(t *testing.T, c *brokertest.C) {
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, values("m", 100)...)
		c.Must(brokersim.Replicated("orders", 0, 100))
		leader, follower := c.Leader("orders", 0), c.Followers("orders", 0)[0]
		require.NoError(t, follower.Kill())
		c.Must(brokersim.NotInISR("orders", 0, follower.ID()))
		require.NoError(t, leader.PowerOff())
		c.Must(brokersim.NoLeader("orders", 0))
		keepBatches(t, leader, 50)
		require.NoError(t, leader.Start())
		c.Must(brokersim.LedBy("orders", 0, leader.ID()))

		big := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(50*time.Millisecond))
		for range 2 {
			var records []*kgo.Record
			for _, v := range values("big", 77) {
				records = append(records, kgo.StringRecord(v))
			}
			require.NoError(t, big.ProduceSync(t.Context(), records...).FirstErr())
		}
		require.NoError(t, follower.Start())
		c.Must(brokersim.FullISR())
		c.Must(brokersim.Replicated("orders", 0, 50+2*77))
		require.Equal(t, int64(50), truncatedTo(t, c))
		batches := stored(t, c, follower)
		require.Equal(t, stored(t, c, leader), batches)
		next := int64(0)
		for _, b := range batches {
			require.Equal(t, next, b.BaseOffset)
			next = b.LastOffset + 1
		}
		require.Equal(t, int64(50), batches[50].BaseOffset)
		require.Equal(t, int64(126), batches[50].LastOffset, "offset 100 lies in the middle of it")
	}, brokersim.Brokers(2), brokersim.Topic("orders", 1, 2, "flush.messages=1"))
}
