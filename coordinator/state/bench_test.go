package state

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// bigCluster has three brokers and partitions that are all led by broker 1.
func bigCluster(tb testing.TB, topics, partitions int) *State {
	defaults, err := metadata.NewBrokerConfig(map[string]string{"min.insync.replicas": "2"})
	require.NoError(tb, err)
	s := New("big", defaults)
	offset := int64(0)
	apply := func(c Command) Result {
		offset++
		r := s.Apply(offset, c)
		require.NoError(tb, r.Err)
		return r
	}
	for id := range int32(3) {
		apply(RegisterBroker{Broker: metadata.Broker{ID: id + 1, Incarnation: metadata.UUID{byte(id + 1)}}, PreviousEpoch: -1})
		apply(UnfenceBroker{id + 1, offset})
	}
	assignment := make([][]int32, partitions)
	for i := range assignment {
		assignment[i] = []int32{1, int32(2 + i%2), int32(3 - i%2)}
	}
	c := CreateTopics{}
	for i := range topics {
		c.Topics = append(c.Topics, NewTopic{
			Name: fmt.Sprintf("topic-%d", i), ID: metadata.UUID{1, byte(i), byte(i >> 8)}, Partitions: -1, ReplicationFactor: -1, Assignment: assignment,
		})
	}
	for _, created := range apply(c).Created {
		require.NoError(tb, created.Err)
	}
	return s
}

// BenchmarkFence fences a broker that leads ten thousand partitions: one command,
// from its bytes to the bytes for the brokers.
func BenchmarkFence(b *testing.B) {
	for _, c := range []struct{ topics, partitions int }{{1, 10_000}, {100, 100}, {10_000, 1}} {
		b.Run(fmt.Sprintf("topics=%d/partitions=%d", c.topics, c.topics*c.partitions), func(b *testing.B) {
			full := bigCluster(b, c.topics, c.partitions)
			entry := EncodeCommand(FenceBroker{ID: 1, Epoch: 1, Reason: "its process is gone"})
			image := full.Image()
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				full.image.Store(image)
				command, err := DecodeCommand(entry)
				require.NoError(b, err)
				r := full.Apply(1_000_000, command)
				require.Len(b, r.Elections, 10_000)
				require.Len(b, r.ISRs, 10_000)
				size = len(metadata.AppendDeltas(nil, r.Deltas))
			}
			b.ReportMetric(float64(size), "delta-bytes")
		})
	}
}

// BenchmarkAlterPartition is what every ISR change costs in a big cluster.
func BenchmarkAlterPartition(b *testing.B) {
	full := bigCluster(b, 100, 100)
	image := full.Image()
	id := metadata.TopicPartition{Topic: metadata.UUID{1}, Partition: 7}
	c := AlterPartitions{Broker: 1, BrokerEpoch: 1, Changes: []PartitionChange{{TopicPartition: id, ISR: []ISRMember{{1, -1}, {2, -1}}, Recovered: true}}}
	b.ReportAllocs()
	for b.Loop() {
		full.image.Store(image)
		r := full.Apply(1_000_000, c)
		require.NoError(b, r.Partitions[0].Err)
		require.Len(b, r.Deltas, 1)
	}
}

// BenchmarkPlacement makes one topic of ten thousand partitions.
func BenchmarkPlacement(b *testing.B) {
	var brokers []metadata.Broker
	for id := range int32(30) {
		brokers = append(brokers, metadata.Broker{ID: id, Rack: string('a' + id%3)})
	}
	for b.Loop() {
		replicas, err := newPlacer(brokers, 1).place(10_000, 3)
		require.NoError(b, err)
		require.Len(b, replicas, 10_000)
	}
}
