package broker

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// fetchRequest is a fetch without a session that does not wait; by id from
// version 13 on. Each partition is fetched from offset 0.
func fetchRequest(version int16, topic *metadata.Topic, partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.MinBytes = version, 50<<20, 1
	t := kmsg.NewFetchRequestTopic()
	if version >= 13 {
		t.TopicID = topic.ID
	} else {
		t.Topic = topic.Name
	}
	for _, n := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = n, 1<<20
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// fetched1 is the answer for the one partition of a response.
func fetched1(t *testing.T, resp *kmsg.FetchResponse) kmsg.FetchResponseTopicPartition {
	t.Helper()
	require.Zero(t, resp.ErrorCode)
	require.Len(t, resp.Topics, 1)
	require.Len(t, resp.Topics[0].Partitions, 1)
	return resp.Topics[0].Partitions[0]
}

func TestFetchInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		topic := c.createTopic("orders", [][]int32{{1, 2}})
		client := c.client(1)
		mustProduce(t, client, "orders", "a", "b", "c")
		for version := int16(4); version <= 18; version++ {
			req := fetchRequest(version, topic, 0)
			req.Topics[0].Partitions[0].FetchOffset = 1
			resp := ask[*kmsg.FetchResponse](t, client, req)
			a := fetched1(t, resp)
			require.Zero(t, a.ErrorCode, "version %d", version)
			require.Equal(t, []int64{3, 3}, []int64{a.HighWatermark, a.LastStableOffset})
			require.EqualValues(t, -1, a.PreferredReadReplica)
			require.NotNil(t, a.AbortedTransactions)
			require.Zero(t, resp.SessionID, "no session was asked for")
			values, next := valuesOf(t, a.RecordBatches)
			require.Equal(t, []string{"b", "c"}, values)
			require.EqualValues(t, 3, next)
			if version >= 13 {
				require.Equal(t, [16]byte(topic.ID), resp.Topics[0].TopicID)
			} else {
				require.Equal(t, "orders", resp.Topics[0].Topic)
			}

			req.Topics[0].Partitions[0].FetchOffset = 3
			a = fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
			require.Empty(t, a.RecordBatches)
			require.NotNil(t, a.RecordBatches, "null would fail some clients")
			require.NotNil(t, a.AbortedTransactions)
		}
	})
}

// A batch may be larger than every limit: then it comes alone, and whole. Its
// first offset may precede the one that was asked for.
func TestG15_AtLeastOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}})
		client := c.client(1)
		big := batchOf([]string{strings.Repeat("x", 1000), strings.Repeat("y", 1000)})
		for partition := range int32(2) {
			for range 3 {
				require.Zero(t, produced1(t, client, produceRequest(9, "orders", [16]byte{}, partition, -1, big)).ErrorCode)
			}
		}
		for _, limits := range [][2]int32{{1, 1 << 20}, {1 << 20, 1}, {1, 1}, {0, 0}, {-5, -5}, {2500, 2500}} {
			req := fetchRequest(12, topic, 0, 1)
			req.MaxBytes = limits[0]
			for i := range req.Topics[0].Partitions {
				req.Topics[0].Partitions[i].PartitionMaxBytes = limits[1]
				req.Topics[0].Partitions[i].FetchOffset = 3
			}
			resp := ask[*kmsg.FetchResponse](t, client, req)
			first, second := resp.Topics[0].Partitions[0], resp.Topics[0].Partitions[1]
			values, next := valuesOf(t, first.RecordBatches)
			require.Len(t, values, 2, "limits %v", limits)
			require.EqualValues(t, 4, next)
			require.Empty(t, second.RecordBatches, "limits %v: one batch is enough", limits)
			require.EqualValues(t, 6, second.HighWatermark, "but the partition is there")
		}
	})
}

func TestFetchKeepsItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}, {1}})
		client := c.client(1)
		size := len(one(strings.Repeat("x", 900)))
		for partition := range int32(3) {
			for range 10 {
				produced1(t, client, produceRequest(9, "orders", [16]byte{}, partition, 1, one(strings.Repeat("x", 900))))
			}
		}
		req := fetchRequest(12, topic, 0, 1, 2)
		req.MaxBytes = int32(5*size + 10)
		for i := range req.Topics[0].Partitions {
			req.Topics[0].Partitions[i].PartitionMaxBytes = int32(3*size + 10)
		}
		var got []int
		for _, p := range ask[*kmsg.FetchResponse](t, client, req).Topics[0].Partitions {
			got = append(got, len(p.RecordBatches)/size)
		}
		require.Equal(t, []int{3, 2, 0}, got)
	})
}

func TestFetchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}})
		req := fetchRequest(12, topic, 0, 1)
		req.MaxWaitMillis = 700
		begin := time.Now()
		resp := ask[*kmsg.FetchResponse](t, c.client(1), req)
		require.Equal(t, 700*time.Millisecond, time.Since(begin), "nothing came")
		require.Len(t, resp.Topics[0].Partitions, 2)

		begin = time.Now()
		defer later(300*time.Millisecond, func() {
			produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 1, 1, one("x")))
		})()
		resp = ask[*kmsg.FetchResponse](t, c.client(1), req)
		require.Equal(t, 300*time.Millisecond, time.Since(begin))
		values, _ := valuesOf(t, resp.Topics[0].Partitions[1].RecordBatches)
		require.Equal(t, []string{"x"}, values)

		begin = time.Now()
		req.MinBytes = 0
		ask[*kmsg.FetchResponse](t, c.client(1), req)
		require.Zero(t, time.Since(begin), "nothing is wanted")
	})
}

func TestFetchGathersMinBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}})
		client := c.client(1)
		size := len(one("x"))
		go func() {
			for i := range 20 {
				time.Sleep(20 * time.Millisecond)
				produced1(t, client, produceRequest(9, "orders", [16]byte{}, int32(i%2), 1, one("x")))
			}
		}()
		req := fetchRequest(12, topic, 0, 1)
		req.MaxWaitMillis, req.MinBytes = 10000, int32(10*size)
		begin := time.Now()
		resp := ask[*kmsg.FetchResponse](t, c.client(1), req)
		require.InDelta(t, 200, time.Since(begin).Milliseconds(), 10)
		for _, p := range resp.Topics[0].Partitions {
			values, next := valuesOf(t, p.RecordBatches)
			require.Len(t, values, 5)
			require.EqualValues(t, 5, next)
		}
		req.MinBytes = int32(1000 * size)
		resp = ask[*kmsg.FetchResponse](t, c.client(1), req)
		values, _ := valuesOf(t, resp.Topics[0].Partitions[0].RecordBatches)
		require.Len(t, values, 10, "what there is, when the time is over")
		time.Sleep(time.Second)
	})
}

// An answer that cannot take the next batch is not held back for more.
func TestFetchDoesNotWaitWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}})
		client := c.client(1)
		size := len(one(strings.Repeat("x", 900)))
		for partition := range int32(2) {
			for range 2 {
				produced1(t, client, produceRequest(9, "orders", [16]byte{}, partition, 1, one(strings.Repeat("x", 900))))
			}
		}
		for batches, partitions := range map[int][]int32{1: {0}, 3: {0, 1}} {
			req := fetchRequest(12, topic, partitions...)
			req.MaxWaitMillis, req.MaxBytes, req.MinBytes = 10000, int32(batches*size+100), int32(batches*size+100)
			begin, got := time.Now(), 0
			for _, p := range ask[*kmsg.FetchResponse](t, client, req).Topics[0].Partitions {
				got += len(p.RecordBatches) / size
			}
			require.Equal(t, batches, got)
			require.Zero(t, time.Since(begin))
		}
	})
}

// A client that hangs up does not leave a request waiting behind.
func TestFetchEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		conn, err := c.net.Host("clients").DialContext(context.Background(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		req := fetchRequest(12, topic, 0)
		req.SessionEpoch, req.MaxWaitMillis = 0, 200000
		_, err = conn.Write(appendFrame(1, req))
		require.NoError(t, err)
		synctest.Wait()
		sessions := &c.brokers[1].apis.sessions
		busy := func() (n int) {
			sessions.mu.Lock()
			defer sessions.mu.Unlock()
			for _, s := range sessions.byID {
				if s.busy && s.follower < 0 {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, busy())
		conn.Close()
		synctest.Wait()
		require.Zero(t, busy())
	})
}

func TestFetchErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		topic := c.createTopic("orders", [][]int32{{1, 2}, {2, 1}})
		client := c.client(1)
		mustProduce(t, client, "orders", "a", "b")
		epoch := c.brokers[1].Image().TopicByName("orders").Partitions[0].LeaderEpoch
		ghost := &metadata.Topic{Name: "ghosts", ID: metadata.UUID{9}}
		for name, x := range map[string]struct {
			topic     *metadata.Topic
			version   int16
			partition int32
			offset    int64
			epoch     int32
			code      int16
		}{
			"no such topic":         {ghost, 12, 0, 0, -1, kerr.UnknownTopicOrPartition.Code},
			"no such id":            {ghost, 13, 0, 0, -1, kerr.UnknownTopicID.Code},
			"no such partition":     {topic, 12, 2, 0, -1, kerr.UnknownTopicOrPartition.Code},
			"no such partition v13": {topic, 13, 2, 0, -1, kerr.UnknownTopicOrPartition.Code},
			"negative partition":    {topic, 13, -1, 0, -1, kerr.UnknownTopicOrPartition.Code},
			"a follower":            {topic, 13, 1, 0, -1, kerr.NotLeaderForPartition.Code},
			"beyond the end":        {topic, 13, 0, 3, -1, kerr.OffsetOutOfRange.Code},
			"before the start":      {topic, 13, 0, -1, -1, kerr.OffsetOutOfRange.Code},
			"an old epoch":          {topic, 13, 0, 0, epoch - 1, kerr.FencedLeaderEpoch.Code},
			"a new epoch":           {topic, 13, 0, 0, epoch + 1, kerr.UnknownLeaderEpoch.Code},
			"the epoch":             {topic, 13, 0, 0, epoch, 0},
		} {
			if x.epoch < -1 || name == "an old epoch" && epoch == 0 {
				continue // there is none
			}
			req := fetchRequest(x.version, x.topic, x.partition)
			req.MaxWaitMillis = 5000
			req.Topics[0].Partitions[0].FetchOffset = x.offset
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = x.epoch
			begin := time.Now()
			a := fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
			require.Equal(t, x.code, a.ErrorCode, "%s: %v", name, kerr.ErrorForCode(a.ErrorCode))
			require.LessOrEqual(t, time.Since(begin), refusing, "an error does not wait for records")
			require.NotNil(t, a.RecordBatches)
		}
	})
}

// KIP-320 in the fetch itself: an unknown history is told apart.
func TestFetchDiverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "a", "b")
		epoch := c.brokers[1].Image().TopicByName("orders").Partitions[0].LeaderEpoch
		req := fetchRequest(12, topic, 0)
		req.MaxWaitMillis = 5000
		p := &req.Topics[0].Partitions[0]
		p.FetchOffset, p.LastFetchedEpoch = 2, epoch+3
		a := fetched1(t, ask[*kmsg.FetchResponse](t, c.client(1), req))
		require.Zero(t, a.ErrorCode)
		require.Equal(t, epoch, a.DivergingEpoch.Epoch)
		require.EqualValues(t, 2, a.DivergingEpoch.EndOffset)
		require.Empty(t, a.RecordBatches)
	})
}

// Some clients answer a refusal with the same fetch until they know better. In
// virtual time they would never: it stands still while they are busy.
func TestTimePassesForWhoIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "a")
		begin := time.Now()
		for time.Since(begin) < 20*time.Millisecond {
			req := fetchRequest(12, topic, 0)
			req.Topics[0].Partitions[0].FetchOffset = 7
			require.Equal(t, kerr.OffsetOutOfRange.Code, fetched1(t, ask[*kmsg.FetchResponse](t, c.client(1), req)).ErrorCode)
		}
	})
}

// KIP-951 for fetches: from version 16 on with the address.
func TestG22_FetchNamesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3)
		topic := c.createTopic("orders", [][]int32{{1, 2}, {1, 3}})
		for version := int16(12); version <= 18; version++ {
			resp := ask[*kmsg.FetchResponse](t, c.client(2), fetchRequest(version, topic, 0, 1))
			for _, a := range resp.Topics[0].Partitions {
				require.Equal(t, kerr.NotLeaderForPartition.Code, a.ErrorCode)
				if version < 16 {
					require.EqualValues(t, -1, a.CurrentLeader.LeaderID)
					require.Empty(t, resp.Brokers)
					continue
				}
				require.EqualValues(t, 1, a.CurrentLeader.LeaderID)
				require.Equal(t, []kmsg.FetchResponseBroker{{NodeID: 1, Host: "broker-1", Port: 9092, Rack: kmsg.StringPtr("rack-1")}}, resp.Brokers)
			}
		}
	})
}

// A topic that was deleted, and one that took its name.
func TestFetchOfARecreatedTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		old := c.createTopic("orders", [][]int32{{1}})
		client := c.client(1)
		open := func(version int16) *kmsg.FetchRequest {
			req := fetchRequest(version, old, 0)
			req.SessionEpoch = 0
			resp := ask[*kmsg.FetchResponse](t, client, req)
			req.SessionID, req.SessionEpoch, req.Topics = resp.SessionID, 1, nil
			return req
		}
		ids, names := open(13), open(12)
		drop := kmsg.NewPtrDeleteTopicsRequest()
		drop.Version, drop.TopicNames, drop.TimeoutMillis = 5, []string{"orders"}, 5000
		require.Zero(t, ask[*kmsg.DeleteTopicsResponse](t, client, drop).Topics[0].ErrorCode)

		next := func(req *kmsg.FetchRequest, code int16) kmsg.FetchResponseTopicPartition {
			t.Helper()
			req.MaxWaitMillis = 1000
			begin := time.Now()
			a := fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
			require.Equal(t, code, a.ErrorCode, "%v", kerr.ErrorForCode(a.ErrorCode))
			require.LessOrEqual(t, time.Since(begin), refusing, "an error does not wait for records")
			req.SessionEpoch++
			return a
		}
		next(ids, kerr.UnknownTopicID.Code)
		next(names, kerr.UnknownTopicOrPartition.Code)
		c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, client, "orders", "new")
		next(ids, kerr.InconsistentTopicID.Code)
		values, _ := valuesOf(t, next(names, 0).RecordBatches)
		require.Equal(t, []string{"new"}, values)
	})
}

// A consumer whose leader dies while it waits is told at once.
func TestFetchNoticesALostLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		topic := c.createTopic("orders", [][]int32{{2, 1}})
		c.brokers[2].kill()
		c.await(c.brokers[1], "broker 1 leads", func(im *metadata.Image) bool { return im.TopicByName("orders").Partitions[0].Leader == 1 })
		c.brokers[2].start()
		c.await(c.brokers[1], "broker 2 is back", func(im *metadata.Image) bool { return len(im.TopicByName("orders").Partitions[0].ISR) == 2 })

		req := fetchRequest(18, topic, 0)
		req.MaxWaitMillis = 60000
		defer later(time.Second, func() {
			elect := kmsg.NewPtrElectLeadersRequest()
			elect.Version = 2
			resp := ask[*kmsg.ElectLeadersResponse](t, c.client(1), elect)
			require.Zero(t, resp.ErrorCode)
		})()
		begin := time.Now()
		resp := ask[*kmsg.FetchResponse](t, c.client(1), req)
		a := fetched1(t, resp)
		require.Equal(t, kerr.NotLeaderForPartition.Code, a.ErrorCode)
		require.EqualValues(t, 2, a.CurrentLeader.LeaderID)
		require.Less(t, time.Since(begin), 2*time.Second)
	})
}
