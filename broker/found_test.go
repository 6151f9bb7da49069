package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// Until a broker that has refused to begin anew has come to its end it may hear more of the
// partition, and must refuse again: else the log that it would not give up goes after all.
func TestALogThatIsNotGivenUpIsNotGivenUpLater(t *testing.T) {
	name := topicPartition{"orders", 0}
	topic := &metadata.Topic{ID: metadata.UUID{1}, Name: name.topic}
	table := &replicaTable{
		cfg:        Config{ID: 1},
		found:      map[string]*foundLog{name.String(): {topic: metadata.UUID{2}}},
		watermarks: offsetCheckpoint{name: 1},
	}
	state := metadata.Partition{Replicas: []int32{1}, LastKnownLeader: 1}
	for range 3 {
		_, err := table.host(topic, metadata.TopicPartition{Topic: topic.ID}, state)
		require.ErrorContains(t, err, "it names the topic")
		require.Contains(t, table.found, name.String())
	}
}
