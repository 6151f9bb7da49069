package brokersim_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// Several syncs fail at once on a disk that is slow, too. It takes a while to note down why
// the broker gives up, and time goes on meanwhile.
func TestSeveralSyncsFailOnASlowDisk(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 6, 3, "min.insync.replicas=2", "flush.messages=1"))
		b := c.Leader("orders", 0)
		b.Disk().Slow(300*time.Millisecond, 300*time.Millisecond)
		ill := brokersim.FaultsOf(b).Fail(vfs.OpSync, "*.log", syscall.EIO)
		var producers []*kgo.Client
		for i := range int32(6) {
			p := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
			p.Produce(t.Context(), &kgo.Record{Topic: "orders", Partition: i, Value: fmt.Append(nil, i)}, nil)
			producers = append(producers, p)
			time.Sleep(50 * time.Millisecond)
		}
		failed(t, c, b, "input/output error")
		ill()
		c.Heal()
		require.NoError(t, b.Start())
		c.Must(brokersim.FullISR())
		for _, p := range producers {
			require.NoError(t, p.Flush(t.Context()))
		}
	})
}
