package metadata

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestApplyLeavesTheOldImageAlone(t *testing.T) {
	old := sampleImage()
	before := old.AppendTo(nil)
	id := old.TopicByName("orders").ID
	p, ok := old.Partition(TopicPartition{id, 0})
	require.True(t, ok)
	p.Leader = 3
	next := old.Apply(43, []Delta{
		PartitionChanged{TopicPartition{id, 0}, p},
		PartitionChanged{TopicPartition{id, 1}, p},
		TopicConfigured{id, nil},
		BrokerRegistered{Broker{ID: 1, Epoch: 43}},
		TopicCreated{Topic{ID: UUID{1}, Name: "other", Partitions: []Partition{{Leader: NoLeader}}}},
		PartitionChanged{TopicPartition{UUID{1}, 0}, p},
		ProducerIDsAllocated{9},
	})
	require.Equal(t, before, old.AppendTo(nil))
	require.NotEqual(t, before, next.AppendTo(nil))
	for _, tp := range []TopicPartition{{id, 0}, {id, 1}, {UUID{1}, 0}} {
		got, ok := next.Partition(tp)
		require.True(t, ok)
		require.Equal(t, int32(3), got.Leader)
	}
	require.Empty(t, next.TopicByID(id).Configs)
}

func TestApplySharesWhatDidNotChange(t *testing.T) {
	old := sampleImage()
	next := old.Apply(43, []Delta{ProducerIDsAllocated{5000}, BrokerRegistered{Broker{ID: 7}}})
	require.Same(t, old.TopicByName("orders"), next.TopicByName("orders"))
	require.Equal(t, int64(5000), next.NextProducerID())
	require.Len(t, next.Brokers(), 2)
}

func TestDeltasOfADeletedTopicAreIgnored(t *testing.T) {
	old := sampleImage()
	id := old.TopicByName("orders").ID
	im := old.Apply(43, []Delta{
		TopicDeleted{id}, TopicDeleted{id},
		PartitionChanged{TopicPartition{id, 0}, Partition{}},
		TopicConfigured{id, map[string]string{"a": "b"}},
	})
	require.Nil(t, im.TopicByName("orders"))
	require.Nil(t, im.TopicByID(id))
	require.Empty(t, im.Topics())
	_, ok := im.Partition(TopicPartition{id, 0})
	require.False(t, ok)

	im = old.Apply(43, []Delta{PartitionChanged{TopicPartition{id, -1}, Partition{}}, PartitionChanged{TopicPartition{id, 99}, Partition{}}})
	require.Equal(t, old.Topics(), im.Topics())
}

// A topic made anew has another id; what is said of the old one must not reach it (KIP-516).
func TestTopicMadeAnewIsAnotherTopic(t *testing.T) {
	old := sampleImage()
	id := old.TopicByName("orders").ID
	im := old.Apply(43, []Delta{TopicDeleted{id}, TopicCreated{Topic{ID: UUID{2}, Name: "orders", Partitions: []Partition{{Leader: 1}}}}})
	im = im.Apply(44, []Delta{PartitionChanged{TopicPartition{id, 0}, Partition{Leader: 9}}, TopicDeleted{id}})
	require.Equal(t, UUID{2}, im.TopicByName("orders").ID)
	require.Equal(t, int32(1), im.TopicByName("orders").Partitions[0].Leader)
}

func TestUUIDText(t *testing.T) {
	u := UUID{0: 0xfb, 15: 1}
	require.Len(t, u.String(), 22)
	back, err := ParseUUID(u.String())
	require.NoError(t, err)
	require.Equal(t, u, back)
	for _, s := range []string{"", "x", u.String() + "A", u.String()[:21] + "!"} {
		_, err := ParseUUID(s)
		require.Error(t, err, s)
	}
	require.True(t, UUID{}.IsZero())
}
