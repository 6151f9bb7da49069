package broker

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

func metadataRequest(version int16, names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = version
	for _, n := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &n})
	}
	return req
}

func askMetadata(t *testing.T, client *wire.Client, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	t.Helper()
	return ask[*kmsg.MetadataResponse](t, client, req)
}

func TestMetadataInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3, "auto.create.topics.enable=false")
		topic := c.createTopic("orders", [][]int32{{2, 1, 3}, {3, 2, 1}})
		c.createTopic("returns", [][]int32{{1}})
		for version := int16(0); version <= 13; version++ {
			client := c.client(2)
			resp := askMetadata(t, client, metadataRequest(version, "orders", "ghosts", "orders"))
			require.Len(t, resp.Brokers, 3)
			require.Equal(t, []any{int32(1), "broker-1", int32(9092)}, []any{resp.Brokers[0].NodeID, resp.Brokers[0].Host, resp.Brokers[0].Port})
			if version >= 1 {
				require.EqualValues(t, 2, resp.ControllerID)
				require.Equal(t, "rack-1", *resp.Brokers[0].Rack)
			}
			if version >= 2 {
				require.Equal(t, c.id, *resp.ClusterID)
			}
			require.Len(t, resp.Topics, 2, "each topic once")
			orders, ghosts := resp.Topics[0], resp.Topics[1]
			require.Equal(t, kerr.UnknownTopicOrPartition.Code, ghosts.ErrorCode)
			require.Equal(t, "ghosts", *ghosts.Topic)
			require.Equal(t, "orders", *orders.Topic)
			require.Len(t, orders.Partitions, 2)
			p := orders.Partitions[0]
			require.Zero(t, p.ErrorCode)
			require.EqualValues(t, 2, p.Leader)
			require.Equal(t, []int32{2, 1, 3}, p.Replicas)
			require.ElementsMatch(t, []int32{1, 2, 3}, p.ISR)
			require.Empty(t, p.OfflineReplicas)
			if version >= 7 {
				require.Equal(t, topic.Partitions[0].LeaderEpoch, p.LeaderEpoch)
			}
			if version >= 10 {
				require.Equal(t, [16]byte(topic.ID), orders.TopicID)
			}

			all, none := metadataRequest(version), metadataRequest(version)
			none.Topics = []kmsg.MetadataRequestTopic{}
			if version == 0 {
				require.Len(t, askMetadata(t, client, none).Topics, 2, "version 0 has no null")
				continue
			}
			require.Len(t, askMetadata(t, client, all).Topics, 2)
			require.Empty(t, askMetadata(t, client, none).Topics)
		}
	})
}

func TestG8_MetadataByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		topic := c.createTopic("orders", [][]int32{{1}})
		for _, version := range []int16{12, 13} {
			req := metadataRequest(version)
			req.Topics = []kmsg.MetadataRequestTopic{{TopicID: topic.ID}, {TopicID: [16]byte{1, 2}}}
			resp := askMetadata(t, c.client(1), req)
			require.Equal(t, "orders", *resp.Topics[0].Topic)
			require.Equal(t, kerr.UnknownTopicID.Code, resp.Topics[1].ErrorCode)
			require.Nil(t, resp.Topics[1].Topic)
			require.Equal(t, [16]byte{1, 2}, resp.Topics[1].TopicID)
		}
		for _, name := range askMetadata(t, c.client(1), metadataRequest(13)).Topics {
			require.NotZero(t, name.TopicID, "a zero id makes clients go by names")
		}
		req := metadataRequest(11)
		req.Topics = []kmsg.MetadataRequestTopic{{TopicID: topic.ID}}
		require.Equal(t, kerr.InvalidRequest.Code, askMetadata(t, c.client(1), req).Topics[0].ErrorCode)
	})
}

// Nodes and clients are each sent to the door that they came to.
func TestMetadataNamesTheListenersAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		require.EqualValues(t, 9092, askMetadata(t, c.client(1), metadataRequest(9)).Brokers[0].Port)
		require.EqualValues(t, 9090, askMetadata(t, c.peer(1), metadataRequest(9)).Brokers[0].Port)
	})
}

func TestG18_ControllerAndBrokersAreAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 3)
		c.createTopic("lost", [][]int32{{3}})
		c.createTopic("moved", [][]int32{{3, 2}})
		c.brokers[3].kill()
		for _, id := range []int32{1, 2} {
			c.await(c.brokers[id], "broker 3 is fenced", func(im *metadata.Image) bool { b, _ := im.Broker(3); return b.Fenced })
			resp := askMetadata(t, c.client(id), metadataRequest(9, "lost", "moved"))
			require.Equal(t, id, resp.ControllerID)
			require.Len(t, resp.Brokers, 2)
			lost, moved := resp.Topics[0].Partitions[0], resp.Topics[1].Partitions[0]
			require.Equal(t, kerr.LeaderNotAvailable.Code, lost.ErrorCode)
			require.EqualValues(t, -1, lost.Leader)
			require.Equal(t, []int32{3}, lost.OfflineReplicas)
			require.Zero(t, moved.ErrorCode)
			require.EqualValues(t, 2, moved.Leader)
			require.Equal(t, []int32{3}, moved.OfflineReplicas)
		}
	})
}

// Clients drop metadata with an older epoch than they know: it must be the real one.
func TestG27_LeaderEpochsRise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{2, 1}})
		epoch := func() int32 {
			return askMetadata(t, c.client(1), metadataRequest(9, "orders")).Topics[0].Partitions[0].LeaderEpoch
		}
		before := epoch()
		c.brokers[2].kill()
		c.await(c.brokers[1], "broker 1 leads", func(im *metadata.Image) bool { return im.TopicByName("orders").Partitions[0].Leader == 1 })
		require.Equal(t, before+1, epoch())
	})
}

func TestMetadataCreatesTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "num.partitions=3", "default.replication.factor=2")
		forbid := metadataRequest(9, "orders")
		require.Equal(t, kerr.UnknownTopicOrPartition.Code, askMetadata(t, c.client(1), forbid).Topics[0].ErrorCode)

		allow := metadataRequest(9, "orders", "bad name")
		allow.AllowAutoTopicCreation = true
		resp := askMetadata(t, c.client(1), allow)
		require.Zero(t, resp.Topics[0].ErrorCode)
		require.Len(t, resp.Topics[0].Partitions, 3)
		require.Len(t, resp.Topics[0].Partitions[0].Replicas, 2)
		require.Equal(t, kerr.InvalidTopicException.Code, resp.Topics[1].ErrorCode)

		require.Zero(t, askMetadata(t, c.client(1), metadataRequest(3, "returns")).Topics[0].ErrorCode, "before version 4 it is always allowed")
	})
}

// Clients that start together ask for the same new topic: each gets it.
func TestMetadataCreatesATopicForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		answers := make(chan int16, 10)
		for i := range cap(answers) {
			go func() {
				req := metadataRequest(9, "orders")
				req.AllowAutoTopicCreation = true
				answers <- askMetadata(t, c.client(int32(1+i%2)), req).Topics[0].ErrorCode
			}()
		}
		for range cap(answers) {
			require.Zero(t, <-answers)
		}
	})
}

func TestMetadataCreatesNothingWhenDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1, "auto.create.topics.enable=false")
		req := metadataRequest(9, "orders")
		req.AllowAutoTopicCreation = true
		require.Equal(t, kerr.UnknownTopicOrPartition.Code, askMetadata(t, c.client(1), req).Topics[0].ErrorCode)
	})
}

func TestMetadataBadNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		for _, name := range []string{"", ".", "..", "a b", "a/b", "ä", strings.Repeat("x", 250)} {
			req := metadataRequest(9, name)
			req.AllowAutoTopicCreation = true
			resp := askMetadata(t, c.client(1), req)
			require.Equal(t, kerr.InvalidTopicException.Code, resp.Topics[0].ErrorCode, "%q", name)
		}
		req := metadataRequest(12)
		req.Topics = []kmsg.MetadataRequestTopic{{}}
		require.Equal(t, kerr.InvalidRequest.Code, askMetadata(t, c.client(1), req).Topics[0].ErrorCode)
	})
}

func TestMetadataOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		req := metadataRequest(9, "orders")
		resp := askMetadata(t, c.client(1), req)
		require.EqualValues(t, -1<<31, resp.AuthorizedOperations)
		require.EqualValues(t, -1<<31, resp.Topics[0].AuthorizedOperations)
		req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = true, true
		resp = askMetadata(t, c.client(1), req)
		require.Positive(t, resp.AuthorizedOperations)
		require.Positive(t, resp.Topics[0].AuthorizedOperations)
	})
}

// A broker that has just come back does not deny topics that it has yet to hear of.
func TestStartedBrokerWaitsBeforeItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1}, {2}})
		c.brokers[2].kill()
		c.brokers[2].start()
		resp := askMetadata(t, c.client(2), metadataRequest(9, "orders"))
		require.Zero(t, resp.Topics[0].ErrorCode)
		require.Len(t, resp.Topics[0].Partitions, 2)
	})
}

func TestG19_DescribeCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.brokers[2].kill()
		c.await(c.brokers[1], "broker 2 is fenced", func(im *metadata.Image) bool { b, _ := im.Broker(2); return b.Fenced })
		describe := func(version int16, change func(*kmsg.DescribeClusterRequest)) *kmsg.DescribeClusterResponse {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.Version = version
			change(req)
			return ask[*kmsg.DescribeClusterResponse](t, c.client(1), req)
		}
		for version := range int16(3) {
			resp := describe(version, func(*kmsg.DescribeClusterRequest) {})
			require.Zero(t, resp.ErrorCode)
			require.Equal(t, c.id, resp.ClusterID)
			require.Len(t, c.id, 22)
			require.EqualValues(t, 1, resp.ControllerID)
			require.Equal(t, []kmsg.DescribeClusterResponseBroker{{NodeID: 1, Host: "broker-1", Port: 9092, Rack: kmsg.StringPtr("rack-1")}}, resp.Brokers)
		}
		resp := describe(2, func(r *kmsg.DescribeClusterRequest) {
			r.IncludeFencedBrokers, r.IncludeClusterAuthorizedOperations = true, true
		})
		require.Len(t, resp.Brokers, 2)
		require.True(t, resp.Brokers[1].IsFenced)
		require.Positive(t, resp.ClusterAuthorizedOperations)
		require.Equal(t, kerr.MismatchedEndpointType.Code, describe(1, func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 2 }).ErrorCode)
		require.Equal(t, kerr.UnsupportedEndpointType.Code, describe(1, func(r *kmsg.DescribeClusterRequest) { r.EndpointType = 9 }).ErrorCode)
	})
}
