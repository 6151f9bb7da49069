package brokersim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// values are n different ones.
func values(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s-%d", prefix, i))
	}
	return all
}

func TestADirectoryIsContinued(t *testing.T) {
	dir := t.TempDir()
	opts := []brokersim.Option{brokersim.DataDir(dir), brokersim.Topic("orders", 1, 3, "min.insync.replicas=2")}
	var want []string
	var before brokersim.Snapshot
	for round := range 3 {
		began := time.Now()
		c, err := brokersim.New(t.Context(), opts...)
		require.NoError(t, err)
		t.Log("new", time.Since(began))
		if round > 0 {
			now := c.Snapshot()
			require.Equal(t, before.Partitions[0].HighWatermark, now.Partitions[0].HighWatermark)
			require.Equal(t, before.Partitions[0].Assigned, now.Partitions[0].Assigned)
			require.Len(t, now.Partitions[0].ISR, 3)
			require.Greater(t, now.Offset, before.Offset)
			require.Greater(t, now.Brokers[0].Epoch, before.Brokers[0].Epoch)
		}
		tc := &brokertest.C{Cluster: c}
		p := client(t, tc, kgo.DefaultProduceTopic("orders"))
		more := values(fmt.Sprint(round), 10)
		produce(t, p, more...)
		want = append(want, more...)
		require.Equal(t, want, consume(t, tc, "orders", len(want)))
		for e := range c.Events(t.Context(), 0) {
			t.Log(e.Seq, e.Kind, e.Node, e.Part, e.Data)
			if e.Seq >= c.Snapshot().Seq {
				break
			}
		}
		before = c.Snapshot()
		require.NoError(t, c.Close())
	}
}
