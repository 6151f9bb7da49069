package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A fetcher is a client with a fetch session that reads everything it is given.
type fetcher struct {
	t      *testing.T
	client *wire.Client
	topic  *metadata.Topic
	id     int32
	epoch  int32
	at     map[int32]int64
	wait   int32
	bytes  int32
}

// begin opens the session with these partitions, from their starts.
func (f *fetcher) begin(partitions ...int32) *kmsg.FetchResponse {
	f.t.Helper()
	f.at = map[int32]int64{}
	for _, p := range partitions {
		f.at[p] = 0
	}
	f.id, f.epoch = 0, 0
	return f.fetch(partitions...)
}

// fetch names partitions at their present offsets, and moves on by what it gets.
func (f *fetcher) fetch(partitions ...int32) *kmsg.FetchResponse {
	f.t.Helper()
	req := fetchRequest(13, f.topic, partitions...)
	req.SessionID, req.SessionEpoch, req.MaxWaitMillis = f.id, f.epoch, f.wait
	if f.bytes > 0 {
		req.MaxBytes = f.bytes
	}
	for i := range req.Topics[0].Partitions {
		p := &req.Topics[0].Partitions[i]
		p.FetchOffset = f.at[p.Partition]
	}
	resp := ask[*kmsg.FetchResponse](f.t, f.client, req)
	require.Zero(f.t, resp.ErrorCode)
	f.id, f.epoch = resp.SessionID, f.epoch+1
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if _, next := valuesOf(f.t, p.RecordBatches); next > 0 {
				f.at[p.Partition] = next
			}
		}
	}
	return resp
}

func partitionsIn(resp *kmsg.FetchResponse) (partitions []int32) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, p.Partition)
		}
	}
	return partitions
}

func TestG14_SessionAnswersOnlyNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}, {1}})
		produce := func(partition int32) {
			produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, partition, 1, one("x")))
		}
		f := &fetcher{t: t, client: c.client(1), topic: topic, wait: 1000}
		f.wait = 0
		require.Equal(t, []int32{0, 1, 2}, partitionsIn(f.begin(0, 1, 2)), "a full answer names all")
		require.Positive(t, f.id)
		f.wait = 1000
		begin := time.Now()
		require.Empty(t, f.fetch().Topics)
		require.Equal(t, time.Second, time.Since(begin))

		produce(1)
		require.Equal(t, []int32{1}, partitionsIn(f.fetch()))
		require.Equal(t, []int32{1}, partitionsIn(f.fetch()), "it did not say that it has moved on")
		begin = time.Now()
		require.Empty(t, f.fetch(1).Topics)
		require.Equal(t, time.Second, time.Since(begin))

		defer later(200*time.Millisecond, func() { produce(2) })()
		begin = time.Now()
		require.Equal(t, []int32{2}, partitionsIn(f.fetch()))
		require.Equal(t, 200*time.Millisecond, time.Since(begin))

		forget := fetchRequest(13, topic, 2)
		forget.Topics[0].Partitions[0].FetchOffset = 1
		forget.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{TopicID: topic.ID, Partitions: []int32{0}}}
		forget.SessionID, forget.SessionEpoch = f.id, f.epoch
		require.Empty(t, ask[*kmsg.FetchResponse](t, f.client, forget).Topics)
		f.epoch++
		produce(0)
		require.Empty(t, f.fetch().Topics, "it was forgotten")
	})
}

func TestG14_SessionErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		client := c.client(1)
		f := &fetcher{t: t, client: client, topic: topic}
		f.begin(0)
		code := func(id, epoch int32, version int16) int16 {
			req := fetchRequest(version, topic, 0)
			req.SessionID, req.SessionEpoch = id, epoch
			return ask[*kmsg.FetchResponse](t, client, req).ErrorCode
		}
		require.Equal(t, kerr.FetchSessionIDNotFound.Code, code(f.id+1, 1, 13))
		require.Equal(t, kerr.FetchSessionIDNotFound.Code, code(0, 1, 13))
		require.Equal(t, kerr.InvalidFetchSessionEpoch.Code, code(f.id, 2, 13))
		require.Equal(t, kerr.InvalidFetchSessionEpoch.Code, code(f.id, -2, 13))
		require.Equal(t, kerr.FetchSessionTopicIDError.Code, code(f.id, 1, 12))
		f.fetch() // none of that harmed it

		require.Zero(t, code(f.id, -1, 13), "a fetch without a session ends it")
		require.Equal(t, kerr.FetchSessionIDNotFound.Code, code(f.id, f.epoch, 13))

		f.begin(0)
		old := f.id
		req := fetchRequest(13, topic, 0)
		req.SessionID, req.SessionEpoch = old, 0
		resp := ask[*kmsg.FetchResponse](t, client, req)
		require.NotEqual(t, old, resp.SessionID, "a new one in its place")
		require.Equal(t, kerr.FetchSessionIDNotFound.Code, code(old, 1, 13))
		clients, _ := c.brokers[1].apis.sessions.count()
		require.Equal(t, 1, clients)
	})
}

func TestSessionIsDeclinedWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "x")
		f := &fetcher{t: t, client: c.client(1), topic: topic}
		for range maxClientSessions {
			f.begin(0)
			require.Positive(t, f.id)
		}
		require.Equal(t, []int32{0}, partitionsIn(f.begin(0)))
		require.Zero(t, f.id, "served, but without a session")
		time.Sleep(sessionIdleMax + time.Second)
		f.begin(0)
		require.Positive(t, f.id)
	})
}

// An error is repeated in every answer until it ends, and its end is news.
func TestSessionRepeatsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "x")
		f := &fetcher{t: t, client: c.client(1), topic: topic, wait: 1000}
		f.at = map[int32]int64{0: 5}
		require.Equal(t, kerr.OffsetOutOfRange.Code, fetched1(t, f.fetch(0)).ErrorCode)
		require.Equal(t, kerr.OffsetOutOfRange.Code, fetched1(t, f.fetch()).ErrorCode)
		f.at[0] = 1
		a := fetched1(t, f.fetch(0))
		require.Zero(t, a.ErrorCode)
		require.EqualValues(t, 1, a.HighWatermark)
		require.Empty(t, f.fetch().Topics)
	})
}

// Who has to truncate heeds nothing else of the answer: the high watermark that came
// with it must be told again, or an idle partition's follower never hears of it.
func TestSessionTellsAgainAfterADivergence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "x")
		ahead := fetchRequest(13, topic, 0)
		ahead.SessionEpoch = 0
		ahead.Topics[0].Partitions[0].FetchOffset, ahead.Topics[0].Partitions[0].LastFetchedEpoch = 1, 7
		diverging := ask[*kmsg.FetchResponse](t, c.client(1), ahead)
		require.EqualValues(t, 1, fetched1(t, diverging).DivergingEpoch.EndOffset)

		cut := fetchRequest(13, topic, 0)
		cut.SessionID, cut.SessionEpoch = diverging.SessionID, 1
		cut.Topics[0].Partitions[0].FetchOffset, cut.Topics[0].Partitions[0].LastFetchedEpoch = 1, 0
		a := fetched1(t, ask[*kmsg.FetchResponse](t, c.client(1), cut))
		require.EqualValues(t, -1, a.DivergingEpoch.Epoch)
		require.EqualValues(t, 1, a.HighWatermark)
	})
}

// Under a limit that lets one partition through, each gets its turn.
func TestNoPartitionStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}, {1}, {1}})
		client := c.client(1)
		for partition := range int32(4) {
			for range 20 {
				size := 900
				if partition == 3 {
					size = 3000 // fits only when it comes first
				}
				produced1(t, client, produceRequest(9, "orders", [16]byte{}, partition, 1, one(strings.Repeat("x", size))))
			}
		}
		f := &fetcher{t: t, client: client, topic: topic, bytes: 1500}
		f.begin(0, 1, 2, 3)
		last := []int32{0}
		for round := 0; round < 100 && len(last) > 0; round++ {
			resp := f.fetch(last...)
			last = nil
			for _, p := range resp.Topics {
				for _, p := range p.Partitions {
					if len(p.RecordBatches) > 0 {
						last = append(last, p.Partition)
					}
				}
			}
			if round > 40 {
				break
			}
			var least, most int64 = 100, 0
			for _, at := range f.at {
				least, most = min(least, at), max(most, at)
			}
			if round > 4 {
				require.LessOrEqual(t, most-least, int64(2), "after round %d: %v", round, f.at)
			}
		}
	})
}

// A follower of very many partitions pays only for those with news.
func TestSessionCostGrowsWithNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		const partitions = 500
		var assignment [][]int32
		var all []int32
		for n := range int32(partitions) {
			assignment, all = append(assignment, []int32{1}), append(all, n)
		}
		topic := c.createTopic("orders", assignment)
		f := &fetcher{t: t, client: c.client(1), topic: topic}
		f.begin(all...)
		s := c.brokers[1].apis.sessions.byID[f.id]
		require.Zero(t, s.waiting(), "nothing has to be looked at")
		produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 77, 1, one("x")))
		require.Equal(t, 1, s.waiting())
		require.Equal(t, []int32{77}, partitionsIn(f.fetch()))
		require.Empty(t, partitionsIn(f.fetch(77)))
		require.Zero(t, s.waiting())
	})
}

// Two requests of one session at once: the second is refused, and neither hangs.
func TestSessionInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		f := &fetcher{t: t, client: c.client(1), topic: topic}
		f.begin(0)
		req := fetchRequest(13, topic)
		req.SessionID, req.SessionEpoch, req.MaxWaitMillis = f.id, 1, 1000
		done := make(chan *kmsg.FetchResponse)
		go func() { done <- ask[*kmsg.FetchResponse](t, c.client(1), req) }()
		synctest.Wait()
		second := *req
		second.SessionEpoch = 2
		require.Equal(t, kerr.InvalidFetchSessionEpoch.Code, ask[*kmsg.FetchResponse](t, f.client, &second).ErrorCode)
		require.Zero(t, (<-done).ErrorCode)
	})
}
