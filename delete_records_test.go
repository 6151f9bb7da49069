package brokersim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// deleteBefore has the records of orders-0 below an offset deleted.
func deleteBefore(ctx context.Context, cl *kgo.Client, offset int64, timeout time.Duration) (low int64, err error) {
	adm := kadm.NewClient(cl)
	adm.SetTimeoutMillis(int32(timeout.Milliseconds()))
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "orders", At: offset})
	res, err := adm.DeleteRecords(ctx, offsets)
	if err != nil {
		return -1, err
	}
	one := res["orders"][0]
	return one.LowWatermark, one.Err
}

func earliest(t *testing.T, cl *kgo.Client) int64 {
	t.Helper()
	all, err := kadm.NewClient(cl).ListStartOffsets(t.Context(), "orders")
	require.NoError(t, err)
	o, _ := all.Lookup("orders", 0)
	require.NoError(t, o.Err)
	return o.Offset
}

// What is deleted is gone for every client, and its files go at the next retention,
// though nothing else would ever have removed them.
func TestDeletedRecordsAreGone(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, orders("segment.bytes=1024", "retention.ms=-1", "retention.bytes=-1"))
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(kgo.NoCompression()))
		for i := range 10 {
			produce(t, p, fmt.Sprint(i, strings.Repeat("x", 400)))
		}
		for _, offset := range []int64{0, 3, 7, 3} {
			low, err := deleteBefore(t.Context(), p, offset, time.Second)
			require.NoError(t, err)
			require.Equal(t, max(offset, earliest(t, p)), low)
		}
		_, err := deleteBefore(t.Context(), p, 11, time.Second)
		require.ErrorIs(t, err, kerr.OffsetOutOfRange)
		require.Equal(t, "7", consume(t, c, "orders", 3)[0][:1])
		s := c.Partition("orders", 0)
		require.EqualValues(t, 7, s.LowWatermark)
		for _, r := range s.Replicas {
			require.Equal(t, []int64{7, 7}, []int64{r.LogStart, r.KnownStart}, "broker %d", r.Broker)
		}
		require.Len(t, files(t, c, ".log"), 5)
		time.Sleep(6 * time.Minute)
		require.Len(t, files(t, c, ".log"), 2, "the segments that begin at 6 and at 8")

		// Everything: the last segment stays until records come and go.
		low, err := deleteBefore(t.Context(), p, -1, time.Second)
		require.NoError(t, err)
		require.EqualValues(t, 10, low)
		require.Equal(t, low, earliest(t, p))
		time.Sleep(6 * time.Minute)
		require.Len(t, files(t, c, ".log"), 1)
		produce(t, p, "last")
		require.Equal(t, []string{"last"}, consume(t, c, "orders", 1))
		moved := 0
		for _, e := range told(t, c) {
			if e.Kind == event.LogStartMoved {
				moved++
			}
		}
		require.Equal(t, 9, moved, "three times on three brokers")
	})
}

// Who is dead does not hold an answer up. A new replica begins at the leader's
// start, which lies within a batch here.
func TestDeleteRecordsDoesNotWaitForTheDead(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, orders())
		p := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(10*time.Millisecond))
		var batch []*kgo.Record
		for i := range 6 {
			batch = append(batch, kgo.StringRecord(fmt.Sprint(i)))
		}
		require.NoError(t, p.ProduceSync(t.Context(), batch...).FirstErr())
		dead := c.Followers("orders", 0)[0]
		require.NoError(t, dead.Kill())
		require.NoError(t, dead.Wipe())
		began := time.Now()
		low, err := deleteBefore(t.Context(), p, 4, time.Minute)
		require.NoError(t, err)
		require.EqualValues(t, 4, low)
		require.Less(t, time.Since(began), time.Second)
		require.NoError(t, dead.Start())
		c.Must(brokersim.FullISR())
		r, _ := c.Partition("orders", 0).Replica(dead.ID())
		require.Equal(t, []int64{4, 6}, []int64{r.LogStart, r.LEO})
		for _, b := range c.Brokers() {
			if b.ID() != dead.ID() {
				require.NoError(t, b.Stop())
			}
		}
		require.Equal(t, []string{"4", "5"}, consume(t, c, "orders", 2))
	})
}

// A silent replica is waited for until its session ends, or the client's patience.
func TestDeleteRecordsWaitsForTheSilent(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.KafkaTimings(), orders())
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a", "b", "c")
		silent := c.Followers("orders", 0)[1]
		silent.Pause()
		began := time.Now()
		_, err := deleteBefore(t.Context(), p, 1, 0)
		require.ErrorIs(t, err, kerr.RequestTimedOut)
		require.Less(t, time.Since(began), time.Second)
		_, err = deleteBefore(t.Context(), p, 2, 2*time.Second)
		require.ErrorIs(t, err, kerr.RequestTimedOut)
		require.InDelta(t, 2, time.Since(began).Seconds(), 0.5)
		require.EqualValues(t, 2, earliest(t, p), "deleted all the same, on the leader")
		low, err := deleteBefore(t.Context(), p, 2, time.Minute)
		require.NoError(t, err)
		require.EqualValues(t, 2, low)
		require.InDelta(t, 9, time.Since(began).Seconds(), 3, "when the session has ended")
		silent.Resume()
		c.Must(brokersim.FullISR())
		c.Must(func(s brokersim.Snapshot) (bool, string) {
			return s.Partitions[0].LowWatermark == 2, "a low watermark of 2"
		})
	})
}

// A leader that dies while a client waits answers nobody; the next one is asked.
func TestDeleteRecordsAcrossAFailover(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, orders())
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		produce(t, p, "a", "b", "c")
		leader, cut := c.Leader("orders", 0), c.Followers("orders", 0)
		for _, b := range cut {
			c.Net().Cut([]brokersim.End{brokersim.B(leader.ID())}, []brokersim.End{brokersim.B(b.ID())})
		}
		answered := make(chan error, 1)
		go func() {
			_, err := deleteBefore(t.Context(), p, 2, 20*time.Second)
			answered <- err
		}()
		time.Sleep(100 * time.Millisecond)
		require.Empty(t, answered)
		require.NoError(t, leader.Kill())
		c.Heal()
		<-answered // deleted or not: either is true
		c.Must(brokersim.NewLeader("orders", 0, leader.ID()))
		time.Sleep(100 * time.Millisecond) // everybody knows by then
		low, err := deleteBefore(t.Context(), client(t, c), 2, 20*time.Second)
		require.NoError(t, err)
		require.EqualValues(t, 2, low)
		require.NotEqual(t, leader.ID(), c.Leader("orders", 0).ID())
		require.NoError(t, leader.Start())
		c.Must(brokersim.FullISR())
		require.Equal(t, []string{"c"}, consume(t, c, "orders", 1))
	})
}

// Whatever ends all brokers, what was answered to be deleted stays deleted.
func TestDeletedRecordsDoNotComeBack(t *testing.T) {
	ends := map[string]func(b *brokersim.Broker) error{
		"kill": (*brokersim.Broker).Kill, "power": (*brokersim.Broker).PowerOff, "stop": (*brokersim.Broker).Stop,
	}
	for name, end := range ends {
		for _, sync := range []string{"1", "9223372036854775807"} {
			t.Run(name+" flush="+sync, func(t *testing.T) {
				brokertest.Virtual(t, func(t *testing.T) {
					c := brokertest.Start(t, orders("flush.messages="+sync))
					p := client(t, c, kgo.DefaultProduceTopic("orders"))
					produce(t, p, values("v", 6)...)
					_, err := deleteBefore(t.Context(), p, 4, time.Second)
					require.NoError(t, err)
					for _, b := range c.Brokers() {
						require.NoError(t, end(b))
					}
					for _, b := range c.Brokers() {
						require.NoError(t, b.Start())
					}
					c.Must(brokersim.FullISR())
					produce(t, p, "more")
					require.GreaterOrEqual(t, earliest(t, p), int64(4))
					if name != "power" || sync == "1" {
						require.Equal(t, []string{"v-4", "v-5", "more"}, consume(t, c, "orders", 3))
					}
				})
			})
		}
	}
}

// Random misfortunes, and a client that deletes all the while: where the partition
// starts never lies below what was answered.
func TestDeletionsInAStorm(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) { deletionStorm(t, seed) })
		})
	}
}

func deletionStorm(t *testing.T, seed uint64) {
	c := brokertest.Start(t, brokersim.Seed(seed), orders("flush.messages=1", "segment.bytes=1024"))
	rng := rand.New(rand.NewPCG(seed, 7))
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	deleted, answered := int64(0), 0
	for range 25 {
		produce(t, p, values("v", 1+rng.IntN(4))...)
		b := c.Brokers()[rng.IntN(3)]
		hit := []func(){
			func() { _ = b.Kill() }, func() { _ = b.PowerOff() }, b.Pause, func() { b.Isolate() }, func() {},
		}[rng.IntN(5)]
		done := make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if low, err := deleteBefore(ctx, p, -1, 2*time.Second); err == nil {
				deleted = max(deleted, low)
				answered++
			}
		}()
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Microsecond)
		hit()
		<-done
		if rng.IntN(3) > 0 {
			for _, b := range c.Brokers() { // everybody dies before the others are back
				if b.Process().Up() {
					require.NoError(t, b.Kill())
				}
			}
		}
		c.Heal()
		for _, b := range c.Brokers() {
			if b.Process() == brokersim.Paused {
				b.Resume()
			}
			if !b.Process().Up() {
				require.NoError(t, b.Start())
			}
		}
		c.Must(brokersim.FullISR())
		require.GreaterOrEqual(t, earliest(t, p), deleted)
		for _, r := range c.Partition("orders", 0).Replicas {
			require.GreaterOrEqual(t, r.LogStart, deleted, "broker %d", r.Broker)
		}
	}
	require.Greater(t, answered, 5)
	require.Empty(t, electedUncleanly(t, c))
}

// On a real disk, too, and across a clean stop of everything.
func TestADirectoryRemembersWhatIsDeleted(t *testing.T) {
	dir := t.TempDir()
	for round := range int64(3) {
		once(t, dir, func(t *testing.T, c *brokertest.C) {
			p := client(t, c, kgo.DefaultProduceTopic("orders"))
			require.Equal(t, round, earliest(t, p))
			produce(t, p, fmt.Sprint(2*round), fmt.Sprint(2*round+1))
			low, err := deleteBefore(t.Context(), p, round+1, 10*time.Second)
			require.NoError(t, err)
			require.Equal(t, round+1, low)
			require.Equal(t, fmt.Sprint(round+1), consume(t, c, "orders", 1)[0])
		}, orders())
	}
}
