package coordinator

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

func TestMisplacedLeaders(t *testing.T) {
	id := metadata.UUID{1}
	image := func(leaders []int32, fenced bool) *metadata.Image {
		topic := metadata.Topic{ID: id, Name: "orders"}
		for _, l := range leaders {
			topic.Partitions = append(topic.Partitions, metadata.Partition{Replicas: []int32{1, 2}, ISR: []int32{1, 2}, Leader: l})
		}
		return metadata.NewImage("cluster").Apply(1, []metadata.Delta{
			metadata.BrokerRegistered{Broker: metadata.Broker{ID: 1, Fenced: fenced}},
			metadata.BrokerRegistered{Broker: metadata.Broker{ID: 2}},
			metadata.TopicCreated{Topic: topic},
		})
	}
	half := []int32{1, 2, 1, 2}
	want := []metadata.TopicPartition{{Topic: id, Partition: 1}, {Topic: id, Partition: 3}}
	require.Equal(t, want, misplaced(image(half, false), 10))
	require.Equal(t, want, misplaced(image(half, false), 49))
	require.Empty(t, misplaced(image(half, false), 50), "half of them elsewhere is not more than half")
	require.Empty(t, misplaced(image(half, true), 10), "a fenced broker gets nothing back")
	require.Empty(t, misplaced(image([]int32{1, 1}, false), 0))
}
