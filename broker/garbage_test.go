package broker

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// samples are well-formed requests of every kind, in one version each.
func samples(topic *metadata.Topic, version func(key kmsg.Key) int16) []kmsg.Request {
	v := func(r kmsg.Request) kmsg.Request {
		r.SetVersion(version(kmsg.Key(r.Key())))
		return r
	}
	produce := produceRequest(0, topic.Name, topic.ID, 0, -1, batchOf([]string{"a", "b"}))
	fetch := fetchRequest(version(kmsg.Fetch), topic, 0, 1)
	fetch.SessionEpoch = 0
	list := kmsg.NewPtrListOffsetsRequest()
	list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic.Name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1, CurrentLeaderEpoch: -1}}}}
	epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
	epochs.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: topic.Name, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1}}}}
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: topic.Name, Partitions: []int32{0}}}
	drop := kmsg.NewPtrDeleteTopicsRequest()
	ghost := "ghosts"
	drop.TopicNames, drop.Topics = []string{ghost}, []kmsg.DeleteTopicsRequestTopic{{Topic: &ghost}}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 2, ResourceName: topic.Name, ConfigNames: []string{"x"}}}
	records := kmsg.NewPtrDeleteRecordsRequest()
	records.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic.Name, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 1, Offset: -1}}}}
	return []kmsg.Request{
		v(produce), v(fetch), v(list), v(epochs), v(elect), v(drop), v(records), v(configs), v(metadataRequest(0, topic.Name)),
		v(createRequest(0, "other", 1, 1)), v(kmsg.NewPtrInitProducerIDRequest()), v(askVersions(0)), v(kmsg.NewPtrDescribeClusterRequest()),
	}
}

// Whatever bytes come, the broker lives, no handler panics, and what was
// acknowledged is still there.
func TestGarbageIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}, {1}})
		mustProduce(t, c.client(1), "orders", "kept")
		rng := rand.New(rand.NewPCG(1, 2))
		answered := 0
		for range 40 {
			requests := samples(topic, func(key kmsg.Key) int16 {
				low, high, _ := acceptedVersions(key.Int16())
				return low + int16(rng.IntN(int(high-low)+1))
			})
			for _, req := range requests {
				for port, from := range map[string]string{"9092": "clients", "9090": "coordinator-2"} {
					conn, err := c.net.Host(from).DialContext(context.Background(), "tcp", "broker-1:"+port)
					require.NoError(t, err)
					frame := spoil(rng, appendFrame(1, req))
					_, err = conn.Write(frame)
					require.NoError(t, err)
					synctest.Wait()
					require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
					if n, _ := conn.Read(make([]byte, 1)); n > 0 {
						answered++
					}
					require.NoError(t, conn.Close())
				}
			}
		}
		time.Sleep(time.Minute)
		require.Greater(t, answered, 300, "most of it was close enough to be understood")
		require.Zero(t, c.brokers[1].Panics())
		resp := ask[*kmsg.FetchResponse](t, c.client(1), fetchRequest(12, topic, 0))
		values, _ := valuesOf(t, fetched1(t, resp).RecordBatches)
		require.Equal(t, "kept", values[0])
	})
}

// spoil changes a frame somewhere behind its API key and version.
func spoil(rng *rand.Rand, frame []byte) []byte {
	frame = bytes.Clone(frame)
	const fixed = 8 // length, key, version
	for range 1 + rng.IntN(3) {
		at := fixed + rng.IntN(len(frame)-fixed)
		switch rng.IntN(4) {
		case 0:
			frame[at] ^= 1 << rng.IntN(8)
		case 1:
			frame[at] = byte(rng.Uint32())
		case 2:
			frame[at] = 0xff
		case 3: // cut it off there
			frame = frame[:max(at, fixed+1)]
			binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
		}
	}
	return frame
}
