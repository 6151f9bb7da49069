package brokersim_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// Sixty-four producers of one partition that is synced before each ack. They share
// the syncs, and when power goes everywhere, in the middle of it, what was acked is
// there.
func TestSharedSyncsSurviveAPowerFailure(t *testing.T) {
	for _, disk := range []string{"memory", "files"} {
		for _, rf := range []int{1, 3} {
			t.Run(fmt.Sprintf("disk=%s/rf=%d", disk, rf), func(t *testing.T) {
				var opts []brokersim.Option
				if disk == "files" {
					opts = append(opts, brokersim.DataDir(t.TempDir()))
				}
				brokertest.Virtual(t, func(t *testing.T) { powerFailureOfSynced(t, rf, opts...) })
			})
		}
	}
}

func powerFailureOfSynced(t *testing.T, rf int, opts ...brokersim.Option) {
	const syncTakes, lasts = 2 * time.Millisecond, 200 * time.Millisecond
	c := brokertest.Start(t, append(opts,
		brokersim.Topic("orders", 1, rf, "flush.messages=1", fmt.Sprint("min.insync.replicas=", min(rf, 2))))...)
	for _, b := range c.Brokers() {
		b.Disk().Slow(0, syncTakes)
	}
	ctx, stop := context.WithCancel(t.Context())
	var producers sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]bool{}
	for p := range 64 {
		cl := client(t, c, kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0))
		producers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				value := fmt.Sprint(p, "-", i)
				if cl.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr() == nil {
					mu.Lock()
					acked[value] = true
					mu.Unlock()
				}
			}
		})
	}
	time.Sleep(lasts)
	for _, b := range c.Brokers() {
		require.NoError(t, b.PowerOff())
	}
	mu.Lock()
	require.Greater(t, len(acked), 8*int(lasts/syncTakes), "acks, beside the syncs that there was time for")
	mu.Unlock()
	stop()
	for _, b := range c.Brokers() {
		require.NoError(t, b.Start())
	}
	c.Must(brokersim.FullISR())
	producers.Wait() // an idempotent client gives up nothing that may have been written
	produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "after")
	there := map[string]bool{}
	end := int(c.Partition("orders", 0).HighWatermark)
	for _, v := range consume(t, c, "orders", end) {
		there[v] = true
	}
	for v := range acked {
		require.True(t, there[v], "%s was acked", v)
	}
	t.Logf("%d acked in %v with syncs of %v, %d there", len(acked), lasts, syncTakes, end)
}
