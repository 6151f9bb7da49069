package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// asFollower makes req the fetch of a broker's replica.
func asFollower(req *kmsg.FetchRequest, b *testBroker) *kmsg.FetchRequest {
	if req.Version >= 15 {
		req.ReplicaState.ID, req.ReplicaState.Epoch = b.id, b.Epoch()
	} else {
		req.ReplicaID = b.id
	}
	return req
}

// Only brokers may fetch as followers, and only they see what is not committed.
func TestFetchAsFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
		topic := c.createTopic("orders", [][]int32{{1, 2}})
		c.brokers[2].powerOff() // the test speaks for it
		produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, 1, one("x")))
		for version := int16(15); version <= 18; version++ {
			req := fetchRequest(version, topic, 0)
			require.Empty(t, fetched1(t, ask[*kmsg.FetchResponse](t, c.client(1), req)).RecordBatches)

			asFollower(req, c.brokers[2])
			resp := ask[*kmsg.FetchResponse](t, c.client(1), req)
			require.Equal(t, kerr.ClusterAuthorizationFailed.Code, resp.ErrorCode)

			a := fetched1(t, ask[*kmsg.FetchResponse](t, c.peer(1), req))
			values, _ := valuesOf(t, a.RecordBatches)
			require.Equal(t, []string{"x"}, values, "version %d: %+v", version, a)
			require.Zero(t, a.HighWatermark)
		}
		// Its next offset is its word that it has the record.
		req := asFollower(fetchRequest(18, topic, 0), c.brokers[2])
		req.Topics[0].Partitions[0].FetchOffset = 1
		require.EqualValues(t, 1, fetched1(t, ask[*kmsg.FetchResponse](t, c.peer(1), req)).HighWatermark)
		values, _ := valuesOf(t, fetched1(t, ask[*kmsg.FetchResponse](t, c.client(1), fetchRequest(18, topic, 0))).RecordBatches)
		require.Equal(t, []string{"x"}, values)
	})
}

// A moved high watermark alone is no reason to answer a follower early; new
// records are.
func TestFollowerWaitsForRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
		topic := c.createTopic("orders", [][]int32{{1, 2, 3}})
		c.brokers[2].powerOff()
		c.brokers[3].powerOff()
		produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, 1, one("x")))
		fetch := func(b int32, offset int64, wait int32) *kmsg.FetchRequest {
			req := asFollower(fetchRequest(18, topic, 0), c.brokers[b])
			req.MaxWaitMillis = wait
			req.Topics[0].Partitions[0].FetchOffset = offset
			return req
		}
		defer later(100*time.Millisecond, func() { // broker 3 catches up, so the high watermark moves
			ask[*kmsg.FetchResponse](t, c.peer(1), fetch(3, 1, 0))
		})()
		defer later(300*time.Millisecond, func() {
			produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, 1, one("y")))
		})()
		begin := time.Now()
		a := fetched1(t, ask[*kmsg.FetchResponse](t, c.peer(1), fetch(2, 1, 1000)))
		require.Equal(t, 300*time.Millisecond, time.Since(begin))
		values, _ := valuesOf(t, a.RecordBatches)
		require.Equal(t, []string{"y"}, values)
		require.EqualValues(t, 1, a.HighWatermark)
	})
}

// A session looks only at what has news, and a follower is let into the ISR under the broker epoch that it
// fetched with last. So a broker that has registered anew begins a new session, or it would
// never join the ISR of a partition to which nobody writes.
func TestASessionIsOfOneRegistration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
		topic := c.createTopic("orders", [][]int32{{1, 2}})
		c.brokers[2].powerOff() // the test speaks for it
		req := asFollower(fetchRequest(18, topic, 0), c.brokers[2])
		req.MaxWaitMillis, req.SessionEpoch = 0, 0
		opened := ask[*kmsg.FetchResponse](t, c.peer(1), req)
		require.Zero(t, opened.ErrorCode)
		next := asFollower(fetchRequest(18, topic), c.brokers[2])
		next.SessionID, next.SessionEpoch, next.MaxWaitMillis, next.Topics = opened.SessionID, 1, 0, nil
		require.Zero(t, ask[*kmsg.FetchResponse](t, c.peer(1), next).ErrorCode)
		next.SessionEpoch++
		next.ReplicaState.Epoch++
		require.Equal(t, kerr.FetchSessionIDNotFound.Code, ask[*kmsg.FetchResponse](t, c.peer(1), next).ErrorCode)
	})
}

// A follower that lost its connection goes on with a new session. The request of the session before
// may still wait at the leader and be woken; what it says of the follower is old by then.
func TestAnEndedSessionSaysNothingOfItsFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
		topic := c.createTopic("orders", [][]int32{{1, 2}, {1, 2}})
		c.brokers[2].powerOff() // the test speaks for it
		begins := asFollower(fetchRequest(18, topic, 0, 1), c.brokers[2])
		begins.MaxWaitMillis, begins.SessionEpoch = 0, 0
		opened := ask[*kmsg.FetchResponse](t, c.peer(1), begins)
		require.Zero(t, opened.ErrorCode)
		waits := asFollower(fetchRequest(18, topic), c.brokers[2])
		waits.SessionID, waits.SessionEpoch, waits.Topics = opened.SessionID, 1, nil
		waits.MaxWaitMillis, waits.MinBytes = 1000, 1<<20
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = try(c.peer(1), waits)
		}()
		synctest.Wait()
		for _, partition := range []int32{1, 0} { // it has read the first one, and lets more gather before it reads the other
			produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, partition, 1, one("x")))
			synctest.Wait()
		}
		begins.Topics[0].Partitions[0].FetchOffset = 1
		require.Zero(t, ask[*kmsg.FetchResponse](t, c.peer(1), begins).ErrorCode)
		known := func() int64 {
			return c.brokers[1].replica(metadata.TopicPartition{Topic: topic.ID}).Status().Followers[0].LogEndOffset
		}
		require.EqualValues(t, 1, known())
		<-ended
		require.EqualValues(t, 1, known(), "the session before said 0")
	})
}
