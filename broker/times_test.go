package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim/metadata"
)

// A real client finds its records by their timestamps, also after a failover.
func TestKadmFindsOffsetsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1, 2}}, "segment.bytes=300", "index.interval.bytes=1")
		client := c.kgo(kgo.DefaultProduceTopic("orders"))
		defer closeKgo(client)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now().UnixMilli()
		for _, ms := range []int64{100, 300, 200, 500, 400} {
			r := kgo.StringRecord("order")
			r.Timestamp = time.UnixMilli(began + ms)
			require.NoError(t, client.ProduceSync(ctx, r).FirstErr())
		}
		check := func(admin *kadm.Client) {
			t.Helper()
			for ms, want := range map[int64][2]int64{0: {0, 100}, 100: {0, 100}, 101: {1, 300}, 301: {3, 500}, 501: {5, -1}} {
				listed, err := admin.ListOffsetsAfterMilli(ctx, began+ms, "orders")
				require.NoError(t, err)
				o, ok := listed.Lookup("orders", 0)
				require.True(t, ok)
				require.NoError(t, o.Err)
				if want[1] >= 0 {
					want[1] += began
				}
				require.Equal(t, want, [2]int64{o.Offset, o.Timestamp}, "%d ms", ms)
			}
			listed, err := admin.ListMaxTimestampOffsets(ctx, "orders")
			require.NoError(t, err)
			o, _ := listed.Lookup("orders", 0)
			require.NoError(t, o.Err)
			require.Equal(t, [2]int64{3, began + 500}, [2]int64{o.Offset, o.Timestamp})
		}
		check(kadm.NewClient(client))
		c.brokers[1].kill()
		c.await(c.brokers[2], "it leads", func(im *metadata.Image) bool { return im.TopicByName("orders").Partitions[0].Leader == 2 })
		another := c.kgo()
		defer closeKgo(another)
		check(kadm.NewClient(another))
	})
}
