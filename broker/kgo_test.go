package broker

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim/metadata"
)

// closeKgo closes a client and lets the time pass that its goroutines need to end.
func closeKgo(client *kgo.Client) {
	client.Close()
	time.Sleep(time.Minute)
}

// A real client creates a topic, produces with acks=all and reads it back while
// the leader of a partition dies and another one takes over.
func TestKgoProducesAndConsumesAcrossAFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		producer := c.kgo(kgo.DefaultProduceTopic("orders"), kgo.RequiredAcks(kgo.AllISRAcks()))
		defer closeKgo(producer)
		created, err := kadm.NewClient(producer).CreateTopic(ctx, 2, 3, map[string]*string{"min.insync.replicas": kadm.StringPtr("2")}, "orders")
		require.NoError(t, err)
		require.NoError(t, created.Err)
		c.await(c.brokers[1], "ISRs are full", func(im *metadata.Image) bool {
			topic := im.TopicByName("orders")
			return topic != nil && len(topic.Partitions[0].ISR) == 3 && len(topic.Partitions[1].ISR) == 3
		})
		consumer := c.kgo(kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
		defer closeKgo(consumer)

		const n = 200
		for i := range n {
			if i == n/2 {
				c.brokers[c.brokers[1].Image().TopicByName("orders").Partitions[0].Leader].kill()
			}
			record := kgo.KeyStringRecord(fmt.Sprint(i), fmt.Sprint(i))
			require.NoError(t, producer.ProduceSync(ctx, record).FirstErr(), "record %d", i)
		}
		seen := map[string]int{}
		for len(seen) < n {
			fetches := consumer.PollFetches(ctx)
			require.NoError(t, fetches.Err0())
			fetches.EachError(func(topic string, p int32, err error) { t.Logf("%s-%d: %v", topic, p, err) })
			fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
		}
		for value, times := range seen {
			require.Equal(t, 1, times, "order %s", value)
		}
	})
}

// What kadm asks an admin's questions with.
func TestKadmDescribesTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1, 2}, {2, 1}}, "flush.messages=1000")
		mustProduce(t, c.client(1), "orders", "a", "b")
		client := c.kgo()
		defer closeKgo(client)
		admin := kadm.NewClient(client)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()

		m, err := admin.Metadata(ctx)
		require.NoError(t, err)
		require.Equal(t, c.id, m.Cluster)
		require.Len(t, m.Brokers, 2)
		require.True(t, m.Topics.Has("orders"))

		ends, err := admin.ListEndOffsets(ctx, "orders")
		require.NoError(t, err)
		require.NoError(t, ends.Error())
		end, _ := ends.Lookup("orders", 0)
		require.EqualValues(t, 2, end.Offset)
		starts, err := admin.ListStartOffsets(ctx, "orders")
		require.NoError(t, err)
		start, _ := starts.Lookup("orders", 0)
		require.Zero(t, start.Offset)

		configs, err := admin.DescribeTopicConfigs(ctx, "orders")
		require.NoError(t, err)
		one, err := configs.On("orders", nil)
		require.NoError(t, err)
		require.NoError(t, one.Err)
		brokers, err := admin.DescribeBrokerConfigs(ctx, 1, 2)
		require.NoError(t, err)
		for _, b := range brokers {
			require.NoError(t, b.Err)
			require.NotEmpty(t, b.Configs)
		}

		dropped, err := admin.DeleteTopics(ctx, "orders", "ghosts")
		require.NoError(t, err)
		require.NoError(t, dropped["orders"].Err)
		require.Error(t, dropped["ghosts"].Err)
	})
}

// Transactions are refused at once, not waited for.
func TestKgoIsToldWhatThereIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		client := c.kgo()
		defer closeKgo(client)
		found := kadm.NewClient(client).FindTxnCoordinators(ctx, "tx")
		require.ErrorIs(t, found["tx"].Err, kerr.TransactionalIDAuthorizationFailed)

		tx := c.kgo(kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("orders"))
		defer closeKgo(tx)
		begin := time.Now()
		require.ErrorIs(t, tx.BeginTransaction(), kerr.TransactionalIDAuthorizationFailed)
		require.Less(t, time.Since(begin), 30*time.Second)
	})
}
