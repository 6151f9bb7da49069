package broker

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

func TestProduceInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		topic := c.createTopic("orders", [][]int32{{1, 2}})
		client := c.client(1)
		offset := int64(0)
		for version := int16(3); version <= 13; version++ {
			for _, acks := range []int16{1, -1} {
				req := produceRequest(version, "orders", [16]byte{}, 0, acks, batchOf([]string{"a", "b"}))
				if version >= 13 {
					req.Topics[0].Topic, req.Topics[0].TopicID = "", topic.ID
				}
				resp := ask[*kmsg.ProduceResponse](t, client, req)
				a := resp.Topics[0].Partitions[0]
				require.Zero(t, a.ErrorCode, "version %d", version)
				require.Equal(t, []int64{offset, -1}, []int64{a.BaseOffset, a.LogAppendTime})
				if version >= 5 {
					require.Zero(t, a.LogStartOffset)
				}
				if version >= 13 {
					require.Equal(t, [16]byte(topic.ID), resp.Topics[0].TopicID)
				} else {
					require.Equal(t, "orders", resp.Topics[0].Topic)
				}
				offset += 2
			}
		}
	})
}

func TestProduceStampsLogAppendTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}}, "message.timestamp.type=LogAppendTime")
		time.Sleep(time.Minute)
		a := produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, -1, one("x")))
		require.Equal(t, time.Now().UnixMilli(), a.LogAppendTime)
	})
}

// Each bad batch is its partition's error; the good ones beside it are appended.
func TestProduceBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}, {1}}, "max.message.bytes=1000")
		crc := one("x")
		crc[len(crc)-1] ^= 1
		magic := one("x")
		magic[16] = 1
		short := one("x")
		codec := func(n int16) func(*kmsg.RecordBatch) {
			return func(b *kmsg.RecordBatch) { b.Attributes |= n }
		}
		for name, x := range map[string]struct {
			records []byte
			code    int16
		}{
			"nothing":         {nil, kerr.InvalidRecord.Code},
			"empty":           {[]byte{}, kerr.InvalidRecord.Code},
			"a byte":          {[]byte{7}, kerr.CorruptMessage.Code},
			"cut off":         {short[:len(short)-1], kerr.CorruptMessage.Code},
			"wrong CRC":       {crc, kerr.CorruptMessage.Code},
			"several batches": {append(one("x"), one("y")...), kerr.InvalidRecord.Code},
			"too large":       {one(strings.Repeat("x", 1000)), kerr.MessageTooLarge.Code},
			"old magic":       {magic, kerr.UnsupportedForMessageFormat.Code},
			"count too high":  {batchOf([]string{"x"}, func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 2, 1 }), kerr.InvalidRecord.Code},
			"count and delta": {batchOf([]string{"x"}, func(b *kmsg.RecordBatch) { b.NumRecords = 2 }), kerr.InvalidRecord.Code},
			"no records":      {batchOf(nil, func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = 0, 0 }), kerr.InvalidRecord.Code},
			"control":         {batchOf([]string{"x"}, codec(0x20)), kerr.InvalidRecord.Code},
			"unknown codec":   {batchOf([]string{"x"}, codec(7)), kerr.UnsupportedCompressionType.Code},
			"transactional":   {batchOf([]string{"x"}, codec(transactionalBatch)), kerr.TransactionalIDAuthorizationFailed.Code},
			"no sequence":     {batchOf([]string{"x"}, func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch = 1, 0 }), kerr.InvalidRecord.Code},
		} {
			req := produceRequest(9, "orders", [16]byte{}, 0, -1, x.records)
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 1, Records: one("fine")})
			resp := ask[*kmsg.ProduceResponse](t, c.client(1), req)
			bad, good := resp.Topics[0].Partitions[0], resp.Topics[0].Partitions[1]
			require.Equal(t, x.code, bad.ErrorCode, "%s: %v", name, kerr.ErrorForCode(bad.ErrorCode))
			require.EqualValues(t, -1, bad.BaseOffset)
			require.NotNil(t, bad.ErrorMessage, name)
			require.Zero(t, good.ErrorCode, name)
		}
		require.Zero(t, c.brokers[1].Replicas()[0].LogEndOffset)
	})
}

func TestProduceToWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		for _, x := range []struct {
			name      string
			id        [16]byte
			version   int16
			partition int32
			code      int16
		}{
			{"ghosts", [16]byte{}, 9, 0, kerr.UnknownTopicOrPartition.Code},
			{"", [16]byte{}, 9, 0, kerr.UnknownTopicOrPartition.Code},
			{"orders", [16]byte{}, 9, 1, kerr.UnknownTopicOrPartition.Code},
			{"orders", [16]byte{}, 9, -1, kerr.UnknownTopicOrPartition.Code},
			{"", [16]byte{5}, 13, 0, kerr.UnknownTopicID.Code},
			{"", [16]byte{}, 13, 0, kerr.UnknownTopicID.Code},
			{"", topic.ID, 13, 1, kerr.UnknownTopicOrPartition.Code},
		} {
			a := produced1(t, c.client(1), produceRequest(x.version, x.name, x.id, x.partition, 1, one("x")))
			require.Equal(t, x.code, a.ErrorCode, "%+v", x)
		}
	})
}

func TestProduceRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		for _, acks := range []int16{2, -2, 100} {
			a := produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, acks, one("x")))
			require.Equal(t, kerr.InvalidRequiredAcks.Code, a.ErrorCode)
		}
		req := produceRequest(9, "orders", [16]byte{}, 0, -1, one("x"))
		req.TransactionID = kmsg.StringPtr("tx")
		require.Equal(t, kerr.TransactionalIDAuthorizationFailed.Code, produced1(t, c.client(1), req).ErrorCode)

		zstd := batchOf([]string{"x"}, func(b *kmsg.RecordBatch) { b.Attributes = zstdCodec })
		a := produced1(t, c.client(1), produceRequest(6, "orders", [16]byte{}, 0, -1, zstd))
		require.Equal(t, kerr.UnsupportedCompressionType.Code, a.ErrorCode)
		require.Zero(t, c.brokers[1].Replicas()[0].LogEndOffset)
	})
}

// acks=0 is never answered, and an error can only be told by hanging up.
func TestG9_AcksZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		conn, err := c.net.Host("clients").DialContext(context.Background(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		defer conn.Close()
		send := func(id int32, req kmsg.Request) {
			_, err := conn.Write(appendFrame(id, req))
			require.NoError(t, err)
		}
		metadataRequest := kmsg.NewPtrMetadataRequest()
		metadataRequest.Version = 1
		send(1, produceRequest(9, "orders", [16]byte{}, 0, 0, one("x")))
		send(2, metadataRequest)
		answer := make([]byte, 8)
		_, err = conn.Read(answer)
		require.NoError(t, err)
		require.EqualValues(t, 2, binary.BigEndian.Uint32(answer[4:]), "the first answer is the second request's")
		require.EqualValues(t, 1, c.brokers[1].Replicas()[0].LogEndOffset)

		send(3, produceRequest(9, "ghosts", [16]byte{}, 0, 0, one("x")))
		rest := make([]byte, 4096)
		for err == nil {
			_, err = conn.Read(rest)
		}
		require.Error(t, err, "the connection is closed")
	})
}

// What acks=1 and acks=all promise, told apart by a follower that is gone.
func TestAcksMeanWhatTheySay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
		c.createTopic("orders", [][]int32{{1, 2}}, "min.insync.replicas=1")
		c.brokers[2].powerOff() // silent: it stays in the ISR until its session ends
		client := c.client(1)

		begin := time.Now()
		require.Zero(t, produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, 1, one("x"))).ErrorCode)
		require.Zero(t, time.Since(begin))

		req := produceRequest(9, "orders", [16]byte{}, 0, -1, one("y"))
		req.TimeoutMillis = 1000
		require.Equal(t, kerr.RequestTimedOut.Code, produced1(t, client, req).ErrorCode)
		require.Equal(t, time.Second, time.Since(begin))
		require.EqualValues(t, 2, c.brokers[1].Replicas()[0].LogEndOffset, "it was appended all the same")
		require.Zero(t, c.brokers[1].Replicas()[0].HighWatermark)

		req = produceRequest(9, "orders", [16]byte{}, 0, -1, one("z"))
		req.TimeoutMillis = 60000
		require.Zero(t, produced1(t, client, req).ErrorCode, "the ISR shrank meanwhile")
		require.Greater(t, time.Since(begin), 5*time.Second)
		require.EqualValues(t, 3, c.brokers[1].Replicas()[0].HighWatermark)
	})
}

func TestProduceNeedsMinISR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1, 2}}, "min.insync.replicas=2")
		c.brokers[2].kill()
		c.await(c.brokers[1], "the ISR shrank", func(im *metadata.Image) bool {
			return len(im.TopicByName("orders").Partitions[0].ISR) == 1
		})
		client := c.client(1)
		require.Equal(t, kerr.NotEnoughReplicas.Code, produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, -1, one("x"))).ErrorCode)
		require.Zero(t, c.brokers[1].Replicas()[0].LogEndOffset)
		require.Zero(t, produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, 1, one("x"))).ErrorCode)
	})
}

// A produce that waits for its replicas lets the next request of the connection
// begin, and answers keep their order.
func TestProduceWaitsBesideTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "replica.lag.time.max.ms=20000", "broker.session.timeout.ms=10000")
		c.createTopic("orders", [][]int32{{1, 2}}, "min.insync.replicas=1")
		c.brokers[2].powerOff()
		conn, err := c.net.Host("clients").DialContext(context.Background(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		defer conn.Close()
		for i := range int32(3) {
			req := produceRequest(8, "orders", [16]byte{}, 0, -1, one("x"))
			req.TimeoutMillis = 60000
			_, err := conn.Write(appendFrame(i, req))
			require.NoError(t, err)
			synctest.Wait()
			require.EqualValues(t, i+1, c.brokers[1].Replicas()[0].LogEndOffset, "appended although nothing is acknowledged")
		}
		require.Zero(t, c.brokers[1].Replicas()[0].HighWatermark)
		for i := range int32(3) {
			id, body := readFrame(t, conn)
			require.Equal(t, i, id)
			resp := kmsg.NewPtrProduceResponse()
			resp.Version = 8
			require.NoError(t, resp.ReadFrom(body))
			require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
			require.EqualValues(t, i, resp.Topics[0].Partitions[0].BaseOffset)
		}
	})
}

// KIP-951: whoever asks the wrong broker is told where the leader is.
func TestG22_ProduceNamesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3)
		c.createTopic("orders", [][]int32{{1, 2}, {1, 3}})
		for version := int16(9); version <= 12; version++ {
			for partition := range int32(2) { // one that broker 2 follows, one that it does not host
				req := produceRequest(version, "orders", [16]byte{}, partition, -1, one("x"))
				resp := ask[*kmsg.ProduceResponse](t, c.client(2), req)
				a := resp.Topics[0].Partitions[0]
				require.Equal(t, kerr.NotLeaderForPartition.Code, a.ErrorCode)
				if version < 10 {
					require.EqualValues(t, -1, a.CurrentLeader.LeaderID)
					continue
				}
				p := c.brokers[2].Image().TopicByName("orders").Partitions[partition]
				require.Equal(t, []int32{1, p.LeaderEpoch}, []int32{a.CurrentLeader.LeaderID, a.CurrentLeader.LeaderEpoch})
				require.Equal(t, []kmsg.ProduceResponseBroker{{NodeID: 1, Host: "broker-1", Port: 9092, Rack: kmsg.StringPtr("rack-1")}}, resp.Brokers)
			}
		}
	})
}

// A retried batch of an idempotent producer is acknowledged again, not appended.
func TestG11_IdempotentProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1, 2}})
		client := c.client(1)
		ids := map[int64]bool{}
		for version := range int16(6) {
			init := kmsg.NewPtrInitProducerIDRequest()
			init.Version = version
			for _, b := range []int32{1, 2} {
				resp := ask[*kmsg.InitProducerIDResponse](t, c.client(b), init)
				require.Zero(t, resp.ErrorCode)
				require.Zero(t, resp.ProducerEpoch)
				require.False(t, ids[resp.ProducerID])
				ids[resp.ProducerID] = true
			}
		}
		batch := func(sequence int32) []byte {
			return batchOf([]string{"a", "b"}, func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch, b.FirstSequence = 7, 0, sequence })
		}
		for range 2 {
			a := produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, -1, batch(0)))
			require.Zero(t, a.ErrorCode)
			require.Zero(t, a.BaseOffset)
		}
		require.Equal(t, kerr.OutOfOrderSequenceNumber.Code, produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, -1, batch(4))).ErrorCode)
		require.EqualValues(t, 2, produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, -1, batch(2))).BaseOffset)
		require.EqualValues(t, 4, c.brokers[1].Replicas()[0].LogEndOffset)
	})
}

func TestInitProducerIDRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		for _, x := range []struct {
			id    *string
			pid   int64
			epoch int16
			code  int16
		}{
			{kmsg.StringPtr("tx"), -1, -1, kerr.TransactionalIDAuthorizationFailed.Code},
			{kmsg.StringPtr(""), -1, -1, kerr.InvalidRequest.Code},
			{nil, 5, -1, kerr.InvalidRequest.Code},
			{nil, -1, 5, kerr.InvalidRequest.Code},
			{nil, 5, 5, 0},
		} {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = 5, x.id, x.pid, x.epoch
			resp := ask[*kmsg.InitProducerIDResponse](t, c.client(1), req)
			require.Equal(t, x.code, resp.ErrorCode)
			require.Equal(t, x.code == 0, resp.ProducerID >= 0)
		}
	})
}

// The largest batch that a topic takes by default, and the first that it does not.
func TestG21_MaxMessageBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		const limit = 1048588
		overhead := len(one(strings.Repeat("x", 1<<20-100))) - (1<<20 - 100)
		value := strings.Repeat("x", limit-overhead)
		require.Equal(t, limit, len(one(value)))
		require.Zero(t, produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, -1, one(value))).ErrorCode)
		a := produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, -1, one(value+"x")))
		require.Equal(t, kerr.MessageTooLarge.Code, a.ErrorCode)
	})
}

func TestG21_RequestTooLargeClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1, "socket.request.max.bytes=10000")
		c.createTopic("orders", [][]int32{{1}})
		_, err := try(c.client(1), produceRequest(9, "orders", [16]byte{}, 0, -1, one(strings.Repeat("x", 10000))))
		require.Error(t, err)
		mustProduce(t, c.client(1), "orders", "x")
	})
}
