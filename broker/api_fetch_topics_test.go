package broker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// News of several topics, mixed as they came, is told topic by topic, and each partition
// gets its own records, whether they were copied or are shared.
func TestRecordsOfSeveralTopicsStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		orders, returns := c.createTopic("orders", [][]int32{{1}, {1}}), c.createTopic("returns", [][]int32{{1}, {1}})
		client := c.client(1)
		req := fetchRequest(13, orders, 0, 1)
		req.Topics = append(req.Topics, fetchRequest(13, returns, 0, 1).Topics...)
		req.SessionEpoch = 0
		resp := ask[*kmsg.FetchResponse](t, client, req)
		names := map[[16]byte]string{orders.ID: "orders", returns.ID: "returns"}
		value := func(topic string, partition int32, size int) string {
			return fmt.Sprintf("%s-%d-%s", topic, partition, strings.Repeat("x", size))
		}
		sizes := map[string]int{}
		for i, at := range []struct {
			topic     string
			partition int32
		}{{"returns", 1}, {"orders", 0}, {"returns", 0}, {"orders", 1}} {
			size := []int{9000, 5, 12, 7000}[i]
			sizes[fmt.Sprint(at.topic, at.partition)] = size
			a := produced1(t, client, produceRequest(9, at.topic, [16]byte{}, at.partition, 1, one(value(at.topic, at.partition, size))))
			require.Zero(t, a.ErrorCode)
		}
		next := kmsg.NewPtrFetchRequest()
		next.Version, next.MaxBytes, next.MinBytes = 13, 50<<20, 1
		next.SessionID, next.SessionEpoch = resp.SessionID, 1
		resp = ask[*kmsg.FetchResponse](t, client, next)
		require.Len(t, resp.Topics, 2)
		for _, topic := range resp.Topics {
			require.Len(t, topic.Partitions, 2)
			for _, p := range topic.Partitions {
				name := names[topic.TopicID]
				got, _ := valuesOf(t, p.RecordBatches)
				require.Equal(t, []string{value(name, p.Partition, sizes[fmt.Sprint(name, p.Partition)])}, got)
			}
		}
		require.Equal(t, "returns", names[resp.Topics[0].TopicID], "in the order of the news")
	})
}
