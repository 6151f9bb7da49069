package broker

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func deleteRequest(version int16, topic string, timeout time.Duration, offsets ...int64) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = version, int32(timeout.Milliseconds())
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = topic
	for p, offset := range offsets {
		t.Partitions = append(t.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: int32(p), Offset: offset})
	}
	req.Topics = append(req.Topics, t)
	return req
}

// deleted1 is the answer for the only partition.
func deleted1(t *testing.T, resp *kmsg.DeleteRecordsResponse) (low int64, code int16) {
	t.Helper()
	require.Len(t, resp.Topics, 1)
	require.Len(t, resp.Topics[0].Partitions, 1)
	p := resp.Topics[0].Partitions[0]
	return p.LowWatermark, p.ErrorCode
}

func TestDeleteRecordsInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3)
		topic := c.createTopic("orders", [][]int32{{1, 2, 3}})
		client := c.client(1)
		mustProduce(t, client, "orders", "a", "b", "c", "d", "e", "f")
		began := time.Now()
		for version := range int16(3) {
			low, code := deleted1(t, ask[*kmsg.DeleteRecordsResponse](t, client, deleteRequest(version, "orders", time.Second, int64(version)+1)))
			require.Equal(t, []int64{int64(version) + 1, 0}, []int64{low, int64(code)})
		}
		low, code := deleted1(t, ask[*kmsg.DeleteRecordsResponse](t, client, deleteRequest(2, "orders", time.Second, 1)))
		require.Equal(t, []int64{3, 0}, []int64{low, int64(code)}, "what is deleted stays so")
		require.Less(t, time.Since(began), 100*time.Millisecond, "nobody sleeps on a long poll meanwhile")

		// Who reads below hears where the log starts.
		req := fetchRequest(12, topic, 0)
		req.Topics[0].Partitions[0].FetchOffset = 2
		p := fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
		require.Equal(t, []int64{int64(kerr.OffsetOutOfRange.Code), 3}, []int64{int64(p.ErrorCode), p.LogStartOffset})
		req.Topics[0].Partitions[0].FetchOffset = 3
		p = fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
		require.Equal(t, []int64{0, 3}, []int64{int64(p.ErrorCode), p.LogStartOffset})
		values, _ := valuesOf(t, p.RecordBatches)
		require.Contains(t, values, "d")

		low, code = deleted1(t, ask[*kmsg.DeleteRecordsResponse](t, client, deleteRequest(2, "orders", time.Second, -1)))
		require.Equal(t, []int64{6, 0}, []int64{low, int64(code)}, "-1 is the high watermark")
		for timestamp, offset := range map[int64]int64{-1: 6, -2: 6, -3: -1, -4: 6, 0: -1} {
			list := kmsg.NewPtrListOffsetsRequest()
			list.Version, list.ReplicaID = 10, -1
			list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: timestamp, CurrentLeaderEpoch: -1}}}}
			at := ask[*kmsg.ListOffsetsResponse](t, client, list).Topics[0].Partitions[0]
			require.Equal(t, []int64{0, offset}, []int64{int64(at.ErrorCode), at.Offset}, "timestamp %d", timestamp)
		}
	})
}

func TestDeleteRecordsBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1, 2}, {2, 1}, {1, 2}})
		client := c.client(1)
		mustProduce(t, client, "orders", "a", "b", "c")
		for name, x := range map[string]struct {
			topic   string
			offsets []int64
			codes   []int16
		}{
			"negative":      {"orders", []int64{-2}, []int16{kerr.OffsetOutOfRange.Code}},
			"smallest":      {"orders", []int64{math.MinInt64}, []int16{kerr.OffsetOutOfRange.Code}},
			"above":         {"orders", []int64{4}, []int16{kerr.OffsetOutOfRange.Code}},
			"largest":       {"orders", []int64{math.MaxInt64}, []int16{kerr.OffsetOutOfRange.Code}},
			"elsewhere":     {"orders", []int64{0, 0}, []int16{0, kerr.NotLeaderForPartition.Code}},
			"no partition":  {"orders", []int64{0, 0, 0, 0}, []int16{0, kerr.NotLeaderForPartition.Code, 0, kerr.UnknownTopicOrPartition.Code}},
			"unknown topic": {"ghosts", []int64{0}, []int16{kerr.UnknownTopicOrPartition.Code}},
			"no name":       {"", []int64{-1}, []int16{kerr.UnknownTopicOrPartition.Code}},
		} {
			resp := ask[*kmsg.DeleteRecordsResponse](t, client, deleteRequest(2, x.topic, time.Second, x.offsets...))
			var codes []int16
			for _, p := range resp.Topics[0].Partitions {
				codes = append(codes, p.ErrorCode)
				if p.ErrorCode != 0 {
					require.EqualValues(t, -1, p.LowWatermark, name)
				}
			}
			require.Equal(t, x.codes, codes, name)
		}
		require.Zero(t, c.brokers[1].Replicas()[0].LogStartOffset)

		// The last of those that name one partition counts.
		req := deleteRequest(0, "orders", time.Second, 3)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.DeleteRecordsRequestTopicPartition{Offset: math.MaxInt64})
		req.Topics = append(req.Topics, deleteRequest(0, "orders", 0, 1).Topics...)
		low, code := deleted1(t, ask[*kmsg.DeleteRecordsResponse](t, client, req))
		require.Equal(t, []int64{1, 0}, []int64{low, int64(code)})

		none := deleteRequest(1, "orders", time.Second)
		none.Topics = nil
		require.Empty(t, ask[*kmsg.DeleteRecordsResponse](t, client, none).Topics)
	})
}

// A request with very many partitions is answered for each.
func TestDeleteRecordsOfManyPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "a")
		const many = 100_000
		resp := ask[*kmsg.DeleteRecordsResponse](t, c.client(1), deleteRequest(2, "orders", time.Second, make([]int64, many)...))
		require.Len(t, resp.Topics[0].Partitions, many)
		for i, p := range resp.Topics[0].Partitions {
			want := kerr.UnknownTopicOrPartition.Code
			if i == 0 {
				want = 0
			}
			require.Equal(t, want, p.ErrorCode)
		}
		req := deleteRequest(2, "ghost-0", time.Second, 0)
		for i := 1; i < many; i++ {
			req.Topics = append(req.Topics, deleteRequest(2, fmt.Sprint("ghost-", i), 0, 0).Topics...)
		}
		require.Len(t, ask[*kmsg.DeleteRecordsResponse](t, c.client(1), req).Topics, many)
	})
}
