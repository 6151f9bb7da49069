package brokersim_test

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// effectsOnBrokers are what brokers make of requests, and how they tell that they live.
var effectsOnBrokers = []effect{
	{
		config: "auto.create.topics.enable", value: "false", without: "", with: "UNKNOWN_TOPIC_OR_PARTITION",
		look: func(t *testing.T, c *brokertest.C) any {
			req := kmsg.NewPtrMetadataRequest()
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr("fresh")
			req.Topics, req.AllowAutoTopicCreation = append(req.Topics, topic), true
			cl, last := client(t, c), ""
			for range 10 { // the first answer may come before the topic does
				resp, err := req.RequestWith(t.Context(), cl)
				require.NoError(t, err)
				if last = refusal(kerr.ErrorForCode(resp.Topics[0].ErrorCode)); last == "" {
					break
				}
				time.Sleep(time.Second)
			}
			return last
		},
	},
	{
		config: "num.partitions", value: "3", without: 1, with: 3,
		look: func(t *testing.T, c *brokertest.C) any { return len(unsized(t, c).Partitions) },
	},
	{
		config: "default.replication.factor", value: "2", brokers: 2, without: 1, with: 2,
		look: func(t *testing.T, c *brokertest.C) any { return len(unsized(t, c).Partitions[0].Replicas) },
	},
	{
		config: "broker.session.timeout.ms", value: "5000", brokers: 2, without: time.Second, with: 5 * time.Second,
		look: func(t *testing.T, c *brokertest.C) any {
			began := time.Now()
			c.Broker(2).Pause()
			c.Must(brokersim.Registered(2, brokersim.Fenced))
			return time.Since(began).Round(time.Second)
		},
	},
	{
		config: "broker.heartbeat.interval.ms", value: "500", without: 50, with: 20,
		look: func(t *testing.T, c *brokertest.C) any {
			time.Sleep(1050 * time.Millisecond) // between two of them
			return counted(c, brokersim.B(1), brokersim.Q(1), kmsg.BrokerHeartbeat, func() { time.Sleep(10 * time.Second) })
		},
	},
	{
		config: "socket.request.max.bytes", value: "10000", without: "waits for the rest", with: "closes the connection",
		look: func(t *testing.T, c *brokertest.C) any {
			conn, err := c.Dial(t.Context(), "tcp", c.Addrs()[0])
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write(binary.BigEndian.AppendUint32(nil, 10001))
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Second)))
			if _, err := conn.Read(make([]byte, 1)); isTimeout(err) {
				return "waits for the rest"
			}
			return "closes the connection"
		},
	},
}

func isTimeout(err error) bool {
	timeout, ok := err.(interface{ Timeout() bool })
	return ok && timeout.Timeout()
}

// unsized makes a topic without saying how large it should be.
func unsized(t *testing.T, c *brokertest.C) kadm.TopicDetail {
	t.Helper()
	admin := kadm.NewClient(client(t, c))
	_, err := admin.CreateTopic(t.Context(), -1, -1, nil, "unsized")
	require.NoError(t, err)
	topics, err := admin.ListTopics(t.Context(), "unsized")
	require.NoError(t, err)
	require.NoError(t, topics.Error())
	return topics["unsized"]
}

// writeInSequence writes one record as an idempotent producer would, and returns
// the refusal.
func writeInSequence(t *testing.T, c *brokertest.C, sequence int32) string {
	t.Helper()
	now := time.Now().UnixMilli()
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, NumRecords: 1, FirstTimestamp: now, MaxTimestamp: now, ProducerID: 7, FirstSequence: sequence,
		Records: []byte{14, 0, 0, 0, 1, 2, 'x', 0}, // length, attributes, deltas, no key, a value, no headers
	}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))

	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: raw}}}}
	cl := client(t, c, kgo.MaxVersions(kversion.V3_8_0()))
	resp, err := req.RequestWith(t.Context(), cl)
	require.NoError(t, err)
	return refusal(kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}
