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

func createRequest(version int16, name string, partitions int32, rf int16, change ...func(*kmsg.CreateTopicsRequestTopic)) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = version, 10000
	req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: partitions, ReplicationFactor: rf}}
	for _, f := range change {
		f(&req.Topics[0])
	}
	return req
}

func created1(t *testing.T, client *wire.Client, req *kmsg.CreateTopicsRequest) kmsg.CreateTopicsResponseTopic {
	t.Helper()
	resp := ask[*kmsg.CreateTopicsResponse](t, client, req)
	require.Len(t, resp.Topics, len(req.Topics))
	return resp.Topics[0]
}

// The broker that answered knows the topic: whoever asks it next finds it.
func TestCreateTopicsInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		for version := int16(2); version <= 7; version++ {
			name := "v" + string('0'+rune(version))
			client := c.client(2)
			a := created1(t, client, createRequest(version, name, 3, 2))
			require.Zero(t, a.ErrorCode, "%v", a.ErrorMessage)
			topic := c.brokers[2].Image().TopicByName(name)
			require.NotNil(t, topic)
			require.Len(t, topic.Partitions, 3)
			if version >= 7 {
				require.Equal(t, [16]byte(topic.ID), a.TopicID)
			}
			if version >= 5 {
				require.EqualValues(t, 3, a.NumPartitions)
				require.EqualValues(t, 2, a.ReplicationFactor)
			}
			a = created1(t, client, createRequest(version, name, 3, 2))
			require.Equal(t, kerr.TopicAlreadyExists.Code, a.ErrorCode)
			require.Contains(t, *a.ErrorMessage, name)
		}
	})
}

// Null configs, or one without a source, make clients fail although the topic is there.
func TestG4_G5_CreatedConfigs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		value := "2000"
		for version := int16(5); version <= 7; version++ {
			a := created1(t, c.client(1), createRequest(version, "v"+string('0'+rune(version)), 1, 1, func(t *kmsg.CreateTopicsRequestTopic) {
				t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "max.message.bytes", Value: &value}}
			}))
			require.NotEmpty(t, a.Configs)
			for _, config := range a.Configs {
				require.NotNil(t, config.Value)
				if config.Name == "max.message.bytes" {
					require.Equal(t, []any{"2000", int8(1)}, []any{*config.Value, config.Source})
				} else {
					require.EqualValues(t, 5, config.Source, config.Name)
				}
			}
			a = created1(t, c.client(1), createRequest(version, "bad name", 1, 1))
			require.NotNil(t, a.Configs, "nor in a refusal")
			require.EqualValues(t, -1, a.NumPartitions)
		}
	})
}

func TestCreateTopicsBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("a.b", [][]int32{{1}})
		assign := func(replicas ...[]int32) func(*kmsg.CreateTopicsRequestTopic) {
			return func(t *kmsg.CreateTopicsRequestTopic) {
				t.NumPartitions, t.ReplicationFactor = -1, -1
				for i, r := range replicas {
					t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: r})
				}
			}
		}
		config := func(name, value string) func(*kmsg.CreateTopicsRequestTopic) {
			return func(t *kmsg.CreateTopicsRequestTopic) {
				t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: name, Value: &value}}
			}
		}
		for what, x := range map[string]struct {
			req  *kmsg.CreateTopicsRequest
			code int16
			says string
		}{
			"no name":             {createRequest(7, "", 1, 1), kerr.InvalidTopicException.Code, ""},
			"dots":                {createRequest(7, "..", 1, 1), kerr.InvalidTopicException.Code, ""},
			"a space":             {createRequest(7, "a b", 1, 1), kerr.InvalidTopicException.Code, "a b"},
			"too long":            {createRequest(7, strings.Repeat("x", 250), 1, 1), kerr.InvalidTopicException.Code, ""},
			"collides":            {createRequest(7, "a_b", 1, 1), kerr.InvalidTopicException.Code, "a.b"},
			"no partitions":       {createRequest(7, "x", 0, 1), kerr.InvalidPartitions.Code, ""},
			"negative partitions": {createRequest(7, "x", -5, 1), kerr.InvalidPartitions.Code, ""},
			"no replicas":         {createRequest(7, "x", 1, 0), kerr.InvalidReplicationFactor.Code, ""},
			"too many replicas":   {createRequest(7, "x", 1, 3), kerr.InvalidReplicationFactor.Code, "3"},
			"unknown replica":     {createRequest(7, "x", 0, 0, assign([]int32{1, 9})), kerr.InvalidReplicaAssignment.Code, "9"},
			"replica twice":       {createRequest(7, "x", 0, 0, assign([]int32{1, 1})), kerr.InvalidReplicaAssignment.Code, ""},
			"uneven replicas":     {createRequest(7, "x", 0, 0, assign([]int32{1, 2}, []int32{1})), kerr.InvalidReplicaAssignment.Code, ""},
			"unknown config":      {createRequest(7, "x", 1, 1, config("no.such.config", "1")), kerr.InvalidConfig.Code, "no.such.config"},
			"config is no number": {createRequest(7, "x", 1, 1, config("segment.bytes", "soon")), kerr.InvalidConfig.Code, "segment.bytes"},
			"config out of range": {createRequest(7, "x", 1, 1, config("min.insync.replicas", "0")), kerr.InvalidConfig.Code, "min.insync.replicas"},
		} {
			a := created1(t, c.client(1), x.req)
			require.Equal(t, x.code, a.ErrorCode, "%s: %v", what, kerr.ErrorForCode(a.ErrorCode))
			require.NotNil(t, a.ErrorMessage, what)
			require.Contains(t, *a.ErrorMessage, x.says, what)
		}
		twice := createRequest(7, "x", 1, 1)
		twice.Topics = append(twice.Topics, twice.Topics[0], createRequest(7, "y", 1, 1).Topics[0])
		resp := ask[*kmsg.CreateTopicsResponse](t, c.client(1), twice)
		require.Equal(t, kerr.InvalidRequest.Code, resp.Topics[0].ErrorCode)
		require.Zero(t, resp.Topics[2].ErrorCode, "the others are created")

		only := createRequest(7, "z", 1, 1)
		only.ValidateOnly = true
		require.Zero(t, created1(t, c.client(1), only).ErrorCode)
		require.Len(t, c.brokers[1].Image().Topics(), 2, "a.b and y")
	})
}

func TestDeleteTopicsInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		for version := int16(1); version <= 6; version++ {
			topic := c.createTopic("orders", [][]int32{{1, 2}})
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.Version, req.TimeoutMillis = version, 5000
			req.TopicNames = []string{"orders", "ghosts"}
			names := []string{"orders", "ghosts"}
			req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &names[0]}, {Topic: &names[1]}}
			resp := ask[*kmsg.DeleteTopicsResponse](t, c.client(2), req)
			require.Len(t, resp.Topics, 2)
			require.Zero(t, resp.Topics[0].ErrorCode)
			require.Equal(t, "orders", *resp.Topics[0].Topic)
			require.Equal(t, kerr.UnknownTopicOrPartition.Code, resp.Topics[1].ErrorCode)
			require.Nil(t, c.brokers[2].Image().TopicByID(topic.ID), "the broker that answered knows")
		}
		topic := c.createTopic("orders", [][]int32{{1, 2}})
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version, req.TimeoutMillis = 6, 5000
		req.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: topic.ID}, {TopicID: [16]byte{4}}}
		resp := ask[*kmsg.DeleteTopicsResponse](t, c.client(2), req)
		require.Zero(t, resp.Topics[0].ErrorCode)
		require.Equal(t, "orders", *resp.Topics[0].Topic)
		require.Equal(t, kerr.UnknownTopicID.Code, resp.Topics[1].ErrorCode)
	})
}

// An admin request that reaches no coordinator says so in time.
func TestAdminWithoutCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		heal := c.net.Cut([]string{"broker-1"}, []string{"coordinator-1"})
		defer heal()
		begin := time.Now()
		req := createRequest(7, "x", 1, 1)
		req.TimeoutMillis = 3000
		a := created1(t, c.client(1), req)
		require.NotZero(t, a.ErrorCode)
		require.NotNil(t, a.Configs)
		require.LessOrEqual(t, time.Since(begin), 4*time.Second)
	})
}

func TestElectLeadersInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{2, 1}, {1, 2}})
		for version := range int16(3) {
			c.brokers[2].kill()
			c.await(c.brokers[1], "broker 1 leads", func(im *metadata.Image) bool { return im.TopicByName("orders").Partitions[0].Leader == 1 })
			c.brokers[2].start()
			c.await(c.brokers[1], "the ISR is full", func(im *metadata.Image) bool {
				return len(im.TopicByName("orders").Partitions[0].ISR) == 2 && len(im.TopicByName("orders").Partitions[1].ISR) == 2
			})
			req := kmsg.NewPtrElectLeadersRequest()
			req.Version, req.TimeoutMillis = version, 5000
			req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "orders", Partitions: []int32{0, 1}}, {Topic: "ghosts", Partitions: []int32{0}}}
			resp := ask[*kmsg.ElectLeadersResponse](t, c.client(1), req)
			require.Zero(t, resp.ErrorCode)
			codes := map[string]map[int32]int16{}
			for _, topic := range resp.Topics {
				codes[topic.Topic] = map[int32]int16{}
				for _, p := range topic.Partitions {
					codes[topic.Topic][p.Partition] = p.ErrorCode
				}
			}
			require.Equal(t, map[string]map[int32]int16{
				"orders": {0: 0, 1: kerr.ElectionNotNeeded.Code},
				"ghosts": {0: kerr.UnknownTopicOrPartition.Code},
			}, codes)
			require.EqualValues(t, 2, c.brokers[1].Image().TopicByName("orders").Partitions[0].Leader, "the broker that answered knows")
		}
		all := kmsg.NewPtrElectLeadersRequest()
		all.Version = 2
		require.Empty(t, ask[*kmsg.ElectLeadersResponse](t, c.client(1), all).Topics, "nothing to do anywhere")
		all.ElectionType = 7
		require.Equal(t, kerr.InvalidRequest.Code, ask[*kmsg.ElectLeadersResponse](t, c.client(1), all).ErrorCode)
	})
}

func TestDescribeConfigsInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2, "message.max.bytes=5000", "num.partitions=7")
		c.createTopic("orders", [][]int32{{1}}, "flush.messages=1000")
		for version := range int16(5) {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.Version, req.IncludeSynonyms, req.IncludeDocumentation = version, true, true
			req.Resources = []kmsg.DescribeConfigsRequestResource{
				{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders"},
				{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "orders", ConfigNames: []string{"flush.messages", "nonsense"}},
				{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "ghosts"},
				{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "a b"},
				{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"},
				{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "2"},
				{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: ""},
				{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "1"},
			}
			resp := ask[*kmsg.DescribeConfigsResponse](t, c.client(1), req)
			require.Len(t, resp.Resources, len(req.Resources))
			var codes []int16
			for i, r := range resp.Resources {
				codes = append(codes, r.ErrorCode)
				require.Equal(t, req.Resources[i].ResourceName, r.ResourceName)
			}
			bad := kerr.InvalidRequest.Code
			require.Equal(t, []int16{0, 0, kerr.UnknownTopicOrPartition.Code, kerr.InvalidTopicException.Code, 0, bad, 0, bad}, codes)
			require.Len(t, resp.Resources[1].Configs, 1)
			require.Empty(t, resp.Resources[6].Configs)

			retention := resp.Resources[1].Configs[0]
			require.Equal(t, []any{"flush.messages", "1000", false}, []any{retention.Name, *retention.Value, retention.IsDefault})
			find := func(resource int, name string) kmsg.DescribeConfigsResponseResourceConfig {
				for _, c := range resp.Resources[resource].Configs {
					if c.Name == name {
						return c
					}
				}
				t.Fatalf("no %s", name)
				panic("")
			}
			limit, partitions := find(0, "max.message.bytes"), find(4, "num.partitions")
			require.Equal(t, "5000", *limit.Value)
			require.Equal(t, "7", *partitions.Value)
			if version >= 1 {
				require.EqualValues(t, 1, retention.Source)
				require.NotEmpty(t, retention.ConfigSynonyms)
				require.EqualValues(t, 4, partitions.Source)
				for _, c := range resp.Resources[0].Configs {
					require.Positive(t, int8(c.Source), c.Name)
				}
			}
			if version >= 3 {
				require.NotEmpty(t, *retention.Documentation)
				require.Positive(t, int8(retention.ConfigType))
			}
		}
	})
}

func TestListOffsetsInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1}, {1}})
		sent := time.Now().UnixMilli()
		mustProduce(t, c.client(1), "orders", "a", "b")
		epoch := c.brokers[1].Image().TopicByName("orders").Partitions[0].LeaderEpoch
		list := func(version int16, broker int32, topic string, partition int32, timestamp int64, current int32) kmsg.ListOffsetsResponseTopicPartition {
			req := kmsg.NewPtrListOffsetsRequest()
			req.Version = version
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch = partition, timestamp, current
			req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
			resp := ask[*kmsg.ListOffsetsResponse](t, c.client(broker), req)
			require.Equal(t, topic, resp.Topics[0].Topic)
			require.Equal(t, partition, resp.Topics[0].Partitions[0].Partition)
			return resp.Topics[0].Partitions[0]
		}
		unsupported := kerr.UnsupportedVersion.Code
		for version := int16(1); version <= 11; version++ {
			for timestamp, want := range map[int64]struct {
				offset int64
				code   int16
				from   int16
			}{-1: {2, 0, 0}, -2: {0, 0, 0}, -4: {0, 0, 8}, -5: {-1, 0, 9}, -6: {-1, 0, 11}, -9: {-1, unsupported, 0},
				-3: {0, 0, 7}, 1000: {0, 0, 0}, sent: {0, 0, 0}, sent + 1: {-1, 0, 0}} {
				a := list(version, 1, "orders", 0, timestamp, -1)
				if version < want.from {
					want.offset, want.code = -1, unsupported
				}
				require.Equal(t, []any{want.code, want.offset}, []any{a.ErrorCode, a.Offset}, "version %d, timestamp %d", version, timestamp)
				if want.offset == 0 && (timestamp == -3 || timestamp > 0) {
					require.Equal(t, sent, a.Timestamp)
				} else {
					require.EqualValues(t, -1, a.Timestamp)
				}
				if version >= 4 && want.offset >= 0 {
					require.Equal(t, epoch, a.LeaderEpoch)
				}
			}
			require.Equal(t, kerr.UnknownTopicOrPartition.Code, list(version, 1, "ghosts", 0, -1, -1).ErrorCode)
			require.Equal(t, kerr.UnknownTopicOrPartition.Code, list(version, 1, "orders", 2, -1, -1).ErrorCode)
			require.Equal(t, kerr.NotLeaderForPartition.Code, list(version, 2, "orders", 0, -1, -1).ErrorCode)
			if version >= 4 {
				require.Equal(t, kerr.UnknownLeaderEpoch.Code, list(version, 1, "orders", 0, -1, epoch+1).ErrorCode)
			}
		}
	})
}

func TestListOffsetsRefusesDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}, {1}})
		p, q := kmsg.NewListOffsetsRequestTopicPartition(), kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp, q.Timestamp, q.Partition = -1, -1, 1
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version = 7
		req.Topics = []kmsg.ListOffsetsRequestTopic{
			{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p, q}},
			{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}},
		}
		resp := ask[*kmsg.ListOffsetsResponse](t, c.client(1), req)
		require.Equal(t, kerr.InvalidRequest.Code, resp.Topics[0].Partitions[0].ErrorCode)
		require.Zero(t, resp.Topics[0].Partitions[1].ErrorCode)
		require.Equal(t, kerr.InvalidRequest.Code, resp.Topics[1].Partitions[0].ErrorCode)
	})
}

func TestOffsetForLeaderEpochInEveryVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 2)
		c.createTopic("orders", [][]int32{{1}})
		mustProduce(t, c.client(1), "orders", "a", "b")
		epoch := c.brokers[1].Image().TopicByName("orders").Partitions[0].LeaderEpoch
		for version := int16(2); version <= 4; version++ {
			for _, x := range []struct {
				broker           int32
				topic            string
				current, of, got int32
				end              int64
				code             int16
			}{
				{1, "orders", -1, epoch, epoch, 2, 0},
				{1, "orders", epoch, epoch, epoch, 2, 0},
				{1, "orders", -1, epoch + 5, -1, -1, 0},
				{1, "orders", epoch + 1, epoch, -1, -1, kerr.UnknownLeaderEpoch.Code},
				{2, "orders", -1, epoch, -1, -1, kerr.NotLeaderForPartition.Code},
				{1, "ghosts", -1, epoch, -1, -1, kerr.UnknownTopicOrPartition.Code},
			} {
				req := kmsg.NewPtrOffsetForLeaderEpochRequest()
				req.Version = version
				p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
				p.CurrentLeaderEpoch, p.LeaderEpoch = x.current, x.of
				req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: x.topic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
				a := ask[*kmsg.OffsetForLeaderEpochResponse](t, c.client(x.broker), req).Topics[0].Partitions[0]
				require.Equal(t, []any{x.code, x.got, x.end}, []any{a.ErrorCode, a.LeaderEpoch, a.EndOffset}, "%+v", x)
			}
		}
	})
}
