package broker

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
)

// The follower's side of a fetch session, KIP-227: what goes out at each step.
func TestSessionBook(t *testing.T) {
	var s sessionBook
	begin := func(full bool, id, epoch int32) {
		t.Helper()
		gotID, gotEpoch, err := s.begin(full)
		require.NoError(t, err)
		require.Equal(t, [2]int32{id, epoch}, [2]int32{gotID, gotEpoch})
	}
	lost := func() {
		t.Helper()
		_, _, err := s.begin(false)
		require.ErrorIs(t, err, metadata.ErrFetchSessionIDNotFound)
	}

	lost() // nothing was begun yet
	begin(true, 0, 0)
	s.answered(77)
	begin(false, 77, 1)
	s.answered(77)
	begin(false, 77, 2)
	s.lost() // the answer never came: the next request replaces the session
	lost()
	begin(true, 77, 0)
	s.answered(78)
	begin(false, 78, 1)
	s.refused(metadata.ErrInvalidFetchSessionEpoch)
	lost()
	begin(true, 78, 0)
	s.answered(79)
	s.refused(metadata.ErrFetchSessionIDNotFound)
	begin(true, 0, 0)
	s.answered(0) // declined: every request must be full
	lost()
	begin(true, 0, 0)
	s.answered(80)
	s.epoch = math.MaxInt32
	begin(false, 80, math.MaxInt32)
	s.answered(80)
	begin(false, 80, 1)
}

func TestPeerTranslatesFetch(t *testing.T) {
	orders, returns := newUUID(), newUUID()
	req := peerRequest(2, 31, 77, 4, replication.FetchRequest{
		MaxWait: 500e6, MinBytes: 1, MaxBytes: 1000,
		Partitions: []replication.FetchPartition{
			{ID: metadata.TopicPartition{Topic: orders, Partition: 0}, CurrentLeaderEpoch: 3, FetchOffset: 10, LastFetchedEpoch: 2, LogStartOffset: 1, MaxBytes: 100},
			{ID: metadata.TopicPartition{Topic: orders, Partition: 1}, CurrentLeaderEpoch: 1, LastFetchedEpoch: -1, MaxBytes: 100},
			{ID: metadata.TopicPartition{Topic: returns, Partition: 0}, LastFetchedEpoch: -1, MaxBytes: 100},
		},
		Forgotten: []metadata.TopicPartition{{Topic: returns, Partition: 5}, {Topic: returns, Partition: 6}},
	})
	read := kmsg.NewPtrFetchRequest()
	read.SetVersion(req.Version)
	require.NoError(t, read.ReadFrom(req.AppendTo(nil)))
	require.Equal(t, int32(2), read.ReplicaState.ID)
	require.Equal(t, int64(31), read.ReplicaState.Epoch)
	require.Equal(t, int32(77), read.SessionID)
	require.Equal(t, int32(4), read.SessionEpoch)
	require.Equal(t, int32(500), read.MaxWaitMillis)
	require.Len(t, read.Topics, 2)
	require.Len(t, read.Topics[0].Partitions, 2)
	require.Equal(t, int32(2), read.Topics[0].Partitions[0].LastFetchedEpoch)
	require.Equal(t, int64(10), read.Topics[0].Partitions[0].FetchOffset)
	require.Equal(t, []int32{5, 6}, read.ForgottenTopics[0].Partitions)
}

func TestPeerTranslatesAnswers(t *testing.T) {
	orders := newUUID()
	topic := kmsg.NewFetchResponseTopic()
	topic.TopicID = orders
	news, parted, refused := kmsg.NewFetchResponseTopicPartition(), kmsg.NewFetchResponseTopicPartition(), kmsg.NewFetchResponseTopicPartition()
	news.HighWatermark, news.LogStartOffset = 9, 2
	batches := []slab.Span{slab.Borrow([]byte("batches"))}
	parted.Partition, parted.DivergingEpoch.Epoch, parted.DivergingEpoch.EndOffset = 1, 4, 0
	refused.Partition, refused.ErrorCode, refused.HighWatermark = 2, 74, -1
	topic.Partitions = append(topic.Partitions, news, parted, refused)

	got := peerResponse(&kmsg.FetchResponse{Topics: []kmsg.FetchResponseTopic{topic}}, [][]slab.Span{batches, nil, nil}).Partitions
	require.Len(t, got, 3)
	require.Equal(t, replication.FetchedPartition{ID: metadata.TopicPartition{Topic: orders}, HighWatermark: 9, LogStartOffset: 2, Records: batches}, got[0])
	require.Equal(t, &partition.EpochEnd{Epoch: 4, Offset: 0}, got[1].Diverging, "the log diverges from its very start")
	require.ErrorIs(t, got[2].Err, metadata.ErrFencedLeaderEpoch)
	require.Nil(t, got[2].Diverging)
}
