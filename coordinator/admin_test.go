package coordinator

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

func topicRequest(name string, partitions int32, rf int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, rf
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
		t.Configs = append(t.Configs, c)
	}
	return t
}

func TestCreateTopicsAnswersForEach(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1, 2, 3)[0]
		assigned := topicRequest("assigned", -1, -1)
		for p, replicas := range [][]int32{{3, 1}, {1, 2}} {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Partition, a.Replicas = int32(p), replicas
			assigned.ReplicaAssignment = append(assigned.ReplicaAssignment, a)
		}
		holes := topicRequest("holes", -1, -1)
		holes.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 1, Replicas: []int32{1}}}
		valueless := topicRequest("valueless", 1, 1, "max.message.bytes", "1")
		valueless.Configs[0].Value = nil
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 7
		req.Topics = []kmsg.CreateTopicsRequestTopic{
			topicRequest("plain", 3, 2, "max.message.bytes", "1000"), topicRequest("default", -1, -1), assigned, holes, valueless,
			topicRequest("twice", 1, 1), topicRequest("twice", 1, 1), topicRequest("a/b", 1, 1),
			topicRequest("many", 1, 9), topicRequest("none", 0, 1), topicRequest("odd", 1, 1, "no.such.config", "1"),
		}
		want := []error{
			nil, nil, nil, metadata.ErrInvalidReplicaAssignment, metadata.ErrInvalidConfig,
			metadata.ErrInvalidRequest, metadata.ErrInvalidRequest, metadata.ErrInvalidTopic,
			metadata.ErrInvalidReplicationFactor, metadata.ErrInvalidPartitions, metadata.ErrInvalidConfig,
		}
		for _, validateOnly := range []bool{true, false} {
			req.ValidateOnly = validateOnly
			resp := b.admin(req).(*kmsg.CreateTopicsResponse)
			require.Len(t, resp.Topics, len(want))
			for i, topic := range resp.Topics {
				require.Equal(t, req.Topics[i].Topic, topic.Topic)
				require.Equal(t, wire.Code(want[i]), topic.ErrorCode, "%s: %s", topic.Topic, text(topic.ErrorMessage))
				require.NotNil(t, topic.Configs, "G4: a null is a client's null pointer")
				for _, c := range topic.Configs {
					require.GreaterOrEqual(t, c.Source, int8(0), "G5")
				}
				require.Equal(t, want[i] == nil, topic.ErrorMessage == nil)
			}
			plain := resp.Topics[0]
			require.EqualValues(t, 3, plain.NumPartitions)
			require.EqualValues(t, 2, plain.ReplicationFactor)
			for _, c := range plain.Configs {
				if c.Name == "max.message.bytes" {
					require.Equal(t, "1000", *c.Value)
					require.EqualValues(t, metadata.TopicSource, c.Source)
				}
			}
			require.EqualValues(t, 5, resp.Topics[1].NumPartitions, "num.partitions")
			require.EqualValues(t, 3, resp.Topics[1].ReplicationFactor, "default.replication.factor")
			if validateOnly {
				require.Empty(t, r.active().Image().Topics())
				continue
			}
			made := r.active().Image().TopicByName("assigned")
			require.Equal(t, []int32{3, 1}, made.Partitions[0].Replicas)
			require.Equal(t, plain.TopicID, [16]byte(r.active().Image().TopicByName("plain").ID))
		}
		resp := b.admin(req).(*kmsg.CreateTopicsResponse)
		require.ErrorIs(t, wire.Err(resp.Topics[0].ErrorCode), metadata.ErrTopicAlreadyExists)
	}, "num.partitions", "5", "default.replication.factor", "3")
}

func TestDeleteTopicsByNameAndID(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1)[0]
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Version = 7
		req.Topics = []kmsg.CreateTopicsRequestTopic{topicRequest("a", 1, 1), topicRequest("b", 1, 1)}
		b.create(req)
		byID := r.active().Image().TopicByName("b").ID

		del := kmsg.NewPtrDeleteTopicsRequest()
		del.Version = 6
		for _, ref := range []struct {
			name string
			id   metadata.UUID
		}{{name: "a"}, {id: byID}, {name: "gone"}, {id: metadata.UUID{9}}, {name: "a", id: byID}, {}, {name: "gone"}} {
			x := kmsg.NewDeleteTopicsRequestTopic()
			if x.TopicID = ref.id; ref.name != "" {
				x.Topic = kmsg.StringPtr(ref.name)
			}
			del.Topics = append(del.Topics, x)
		}
		resp := b.admin(del).(*kmsg.DeleteTopicsResponse)
		want := []error{nil, nil, metadata.ErrUnknownTopicOrPartition, metadata.ErrUnknownTopicID,
			metadata.ErrInvalidRequest, metadata.ErrInvalidRequest, metadata.ErrInvalidRequest}
		for i, topic := range resp.Topics {
			require.Equal(t, wire.Code(want[i]), topic.ErrorCode, "number %d", i)
		}
		require.Equal(t, [16]byte(byID), resp.Topics[1].TopicID)
		require.Equal(t, "b", *resp.Topics[1].Topic)
		require.Empty(t, r.active().Image().Topics())

		old := kmsg.NewPtrDeleteTopicsRequest()
		old.Version, old.TopicNames = 5, []string{"gone"}
		answer := b.admin(old).(*kmsg.DeleteTopicsResponse)
		require.ErrorIs(t, wire.Err(answer.Topics[0].ErrorCode), metadata.ErrUnknownTopicOrPartition)
	})
}

func TestElectLeaders(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1, 2)[0]
		b.create(orders(2, 2))
		elect := kmsg.NewPtrElectLeadersRequest()
		elect.Version = 2
		resp := b.admin(elect).(*kmsg.ElectLeadersResponse)
		require.Zero(t, resp.ErrorCode)
		require.Empty(t, resp.Topics, "of all partitions, those that need nothing are not told")

		for _, ask := range []struct {
			topic string
			part  int32
		}{{"orders", 1}, {"orders", 7}, {"gone", 0}} {
			x := kmsg.NewElectLeadersRequestTopic()
			x.Topic, x.Partitions = ask.topic, []int32{ask.part}
			elect.Topics = append(elect.Topics, x)
		}
		got := map[string]map[int32]int16{}
		for _, topic := range b.admin(elect).(*kmsg.ElectLeadersResponse).Topics {
			for _, p := range topic.Partitions {
				if got[topic.Topic] == nil {
					got[topic.Topic] = map[int32]int16{}
				}
				got[topic.Topic][p.Partition] = p.ErrorCode
			}
		}
		require.Equal(t, map[string]map[int32]int16{
			"orders": {1: wire.Code(metadata.ErrElectionNotNeeded), 7: wire.Code(metadata.ErrUnknownTopicOrPartition)},
			"gone":   {0: wire.Code(metadata.ErrUnknownTopicOrPartition)},
		}, got)

		elect.ElectionType = 7
		require.ErrorIs(t, wire.Err(b.admin(elect).(*kmsg.ElectLeadersResponse).ErrorCode), metadata.ErrInvalidRequest)
	})
}

func TestProducerIDBlocksDoNotOverlap(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2)
		taken := map[int64]bool{}
		for i := range 6 {
			req := kmsg.NewPtrAllocateProducerIDsRequest()
			req.BrokerID, req.BrokerEpoch = bs[i%2].id, bs[i%2].epoch.Load()
			resp := bs[i%2].others.do(bs[0].ctx, req).(*kmsg.AllocateProducerIDsResponse)
			require.NoError(t, wire.Err(resp.ErrorCode))
			require.EqualValues(t, producerIDBlock, resp.ProducerIDLen)
			require.False(t, taken[resp.ProducerIDStart])
			taken[resp.ProducerIDStart] = true
		}
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID, req.BrokerEpoch = 1, bs[0].epoch.Load()-1
		resp := bs[0].others.do(bs[0].ctx, req).(*kmsg.AllocateProducerIDsResponse)
		require.ErrorIs(t, wire.Err(resp.ErrorCode), metadata.ErrStaleBrokerEpoch)
	})
}

// A bad packet is an answer or a closed connection, and the node goes on.
func TestBadRequestsAreAnswered(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1)[0]
		ask := func(req kmsg.Request) kmsg.Response {
			resp, err := b.others.ask(b.ctx, req)
			require.NoError(t, err)
			return resp
		}
		env := kmsg.NewPtrEnvelopeRequest()
		rng := rand.New(rand.NewPCG(1, 2))
		for n := range 60 {
			env.RequestData = make([]byte, n)
			for i := range env.RequestData {
				env.RequestData[i] = byte(rng.Uint32())
			}
			require.NotZero(t, ask(env).(*kmsg.EnvelopeResponse).ErrorCode)
		}
		inner := kmsg.NewPtrMetadataRequest()
		env.RequestData = wire.AppendRequest(nil, wire.Header{}, inner)[4:]
		require.ErrorIs(t, wire.Err(ask(env).(*kmsg.EnvelopeResponse).ErrorCode), metadata.ErrUnsupportedVersion)

		fetched := func(change func(*kmsg.FetchRequest)) kmsg.FetchResponseTopicPartition {
			req := metadataFetch(1, 0)
			change(req)
			return ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		}
		require.ErrorIs(t, wire.Err(fetched(func(f *kmsg.FetchRequest) { f.Topics[0].TopicID = [16]byte{1} }).ErrorCode), metadata.ErrUnknownTopicID)
		require.ErrorIs(t, wire.Err(fetched(func(f *kmsg.FetchRequest) { f.Topics[0].Partitions[0].Partition = 1 }).ErrorCode), metadata.ErrUnknownTopicOrPartition)
		require.ErrorIs(t, wire.Err(fetched(func(f *kmsg.FetchRequest) { f.Topics[0].Partitions[0].FetchOffset = -1 }).ErrorCode), metadata.ErrOffsetOutOfRange)
		require.NotEmpty(t, fetched(func(f *kmsg.FetchRequest) { f.Topics[0].Partitions[0].PartitionMaxBytes = -5 }).RecordBatches)

		r.active().history.reset(r.active().Image(), 1)
		id := fetched(func(*kmsg.FetchRequest) {}).SnapshotID
		for position, want := range map[int64]error{-1: metadata.ErrPositionOutOfRange, 0: nil, 1 << 40: metadata.ErrPositionOutOfRange} {
			p := kmsg.NewFetchSnapshotRequestTopicPartition()
			p.SnapshotID.EndOffset, p.SnapshotID.Epoch, p.Position = id.EndOffset, id.Epoch, position
			topic := kmsg.NewFetchSnapshotRequestTopic()
			topic.Topic, topic.Partitions = metadataTopic, []kmsg.FetchSnapshotRequestTopicPartition{p}
			req := kmsg.NewPtrFetchSnapshotRequest()
			req.MaxBytes, req.Topics = -3, []kmsg.FetchSnapshotRequestTopic{topic}
			require.Equal(t, wire.Code(want), ask(req).(*kmsg.FetchSnapshotResponse).Topics[0].Partitions[0].ErrorCode)
			req.Topics[0].Partitions[0].SnapshotID.EndOffset++
			require.ErrorIs(t, wire.Err(ask(req).(*kmsg.FetchSnapshotResponse).Topics[0].Partitions[0].ErrorCode), metadata.ErrSnapshotNotFound)
		}
		for _, change := range []func(*kmsg.BrokerRegistrationRequest){
			func(q *kmsg.BrokerRegistrationRequest) { q.Listeners = nil },
			func(q *kmsg.BrokerRegistrationRequest) { q.BrokerID = -1 },
			func(q *kmsg.BrokerRegistrationRequest) { q.IncarnationID = [16]byte{} },
			func(q *kmsg.BrokerRegistrationRequest) { q.Rack = kmsg.StringPtr(string(make([]byte, 1000))) },
		} {
			req := b.registration(-1)
			change(req)
			require.ErrorIs(t, wire.Err(ask(req).(*kmsg.BrokerRegistrationResponse).ErrorCode), metadata.ErrInvalidRequest)
		}
		require.NotEmpty(t, ask(kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys)
		require.False(t, b.registered().Fenced)
	})
}

func TestDescribeQuorum(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1)[0]
		p := kmsg.NewDescribeQuorumRequestTopicPartition()
		topic := kmsg.NewDescribeQuorumRequestTopic()
		topic.Topic, topic.Partitions = metadataTopic, []kmsg.DescribeQuorumRequestTopicPartition{p}
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Topics = []kmsg.DescribeQuorumRequestTopic{topic}
		got := b.others.do(b.ctx, req).(*kmsg.DescribeQuorumResponse).Topics[0].Partitions[0]
		require.Equal(t, r.active().cfg.ID, got.LeaderID)
		require.Len(t, got.CurrentVoters, 3)
		require.Equal(t, r.active().Image().Offset()+1, got.HighWatermark)
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
