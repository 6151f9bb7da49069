package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// An alterStory scripts the coordinator that an alterer talks to.
type alterStory struct {
	image    *metadata.Image
	topic    metadata.UUID
	requests []*kmsg.AlterPartitionRequest
	answer   func(n int, req *kmsg.AlterPartitionRequest) int16 // of every partition
	alterer  *alterer
}

func newAlterStory() *alterStory {
	s := &alterStory{topic: newUUID()}
	topic := metadata.Topic{ID: s.topic, Name: "orders", Partitions: make([]metadata.Partition, 8)}
	for i := range topic.Partitions {
		topic.Partitions[i] = metadata.Partition{Replicas: []int32{1, 2}, ISR: []int32{1}, Leader: 1, LeaderEpoch: 3, PartitionEpoch: 7}
	}
	s.image = metadata.NewImage("c").Apply(1, []metadata.Delta{metadata.TopicCreated{Topic: topic}})
	s.alterer = &alterer{
		self: 1, epoch: func() int64 { return 31 }, image: func() *metadata.Image { return s.image },
		replica: func(metadata.TopicPartition) *replication.Replica { return nil },
		pass:    func() error { return nil }, pause: 50 * time.Millisecond, wake: make(chan struct{}, 1),
		pending: map[metadata.TopicPartition]replication.Proposal{},
		send: func(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
			r := req.(*kmsg.AlterPartitionRequest)
			s.requests = append(s.requests, r)
			time.Sleep(10 * time.Millisecond)
			return s.answered(r, s.answer(len(s.requests), r)), ctx.Err()
		},
	}
	return s
}

func (s *alterStory) answered(req *kmsg.AlterPartitionRequest, code int16) kmsg.Response {
	resp := &kmsg.AlterPartitionResponse{}
	for _, t := range req.Topics {
		rt := kmsg.AlterPartitionResponseTopic{TopidID: t.TopicID}
		for _, p := range t.Partitions {
			rt.Partitions = append(rt.Partitions, kmsg.AlterPartitionResponseTopicPartition{Partition: p.Partition, ErrorCode: code})
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (s *alterStory) propose(partition, partitionEpoch int32, isr ...int32) {
	p := replication.Proposal{ID: metadata.TopicPartition{Topic: s.topic, Partition: partition}, LeaderEpoch: 3, PartitionEpoch: partitionEpoch, Recovered: true}
	for _, id := range isr {
		p.ISR = append(p.ISR, replication.ISRMember{Broker: id, Epoch: 30 + int64(id)})
	}
	s.alterer.propose(p)
}

// run lets the story happen for a second of virtual time.
func (s *alterStory) run(t *testing.T, tell func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.alterer.run(ctx) }()
	tell()
	time.Sleep(time.Second)
	cancel()
	<-done
}

func partitionsOf(req *kmsg.AlterPartitionRequest) (all []int32) {
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			all = append(all, p.Partition)
		}
	}
	return all
}

func TestAlterGathersWhileOneIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAlterStory()
		s.answer = func(int, *kmsg.AlterPartitionRequest) int16 { return 0 }
		s.run(t, func() {
			s.propose(0, 7, 1, 2)
			synctest.Wait()
			s.propose(1, 7, 1, 2)
			s.propose(2, 7, 1, 2)
			s.propose(1, 7, 1) // replaces the one that has not gone out
		})
		require.Len(t, s.requests, 2)
		require.Equal(t, []int32{0}, partitionsOf(s.requests[0]))
		require.Equal(t, []int32{1, 2}, partitionsOf(s.requests[1]))
		require.Len(t, s.requests[1].Topics[0].Partitions[0].NewEpochISR, 1)
		first := s.requests[0]
		require.Equal(t, int64(31), first.BrokerEpoch)
		p := first.Topics[0].Partitions[0]
		require.Equal(t, int32(3), p.LeaderEpoch)
		require.Equal(t, int32(7), p.PartitionEpoch)
		require.Equal(t, int64(32), p.NewEpochISR[1].BrokerEpoch)
	})
}

// S13 and S25: an outcome that is not known is asked for again, and only as long
// as the metadata log has not passed the proposal.
func TestAlterAsksAgainUntilTheLogSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAlterStory()
		s.answer = func(n int, _ *kmsg.AlterPartitionRequest) int16 {
			if n == 3 { // it was carried out all the same
				state, _ := s.image.Partition(metadata.TopicPartition{Topic: s.topic})
				state.PartitionEpoch++
				s.image = s.image.Apply(2, []metadata.Delta{metadata.PartitionChanged{TopicPartition: metadata.TopicPartition{Topic: s.topic}, State: state}})
			}
			return 41 // NOT_CONTROLLER
		}
		s.run(t, func() { s.propose(0, 7, 1, 2) })
		require.Len(t, s.requests, 3)
		require.Equal(t, s.requests[0], s.requests[2], "the very same request")
	})
}

func TestAlterForgetsWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAlterStory()
		s.answer = func(int, *kmsg.AlterPartitionRequest) int16 { return 95 } // INVALID_UPDATE_VERSION
		s.run(t, func() { s.propose(0, 7, 1, 2) })
		require.Len(t, s.requests, 1)
	})
}

func TestAlterAnswers(t *testing.T) {
	id := metadata.TopicPartition{Topic: newUUID(), Partition: 1}
	none := alterAnswers(&kmsg.AlterPartitionResponse{})
	require.ErrorIs(t, none(id), metadata.ErrNotController, "left out: not known")
	all := alterAnswers(&kmsg.AlterPartitionResponse{ErrorCode: 77})
	require.ErrorIs(t, all(id), metadata.ErrStaleBrokerEpoch)
	require.ErrorIs(t, alterAnswers(&kmsg.FetchResponse{})(id), metadata.ErrNotController)
}
