package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A scriptedLeader answers fetches as a test wants, and remembers them.
type scriptedLeader struct {
	mu       sync.Mutex
	requests []FetchRequest
	answer   func(ctx context.Context, n int, req FetchRequest) (FetchResponse, error) // n counts from 1
	closed   bool
}

func (s *scriptedLeader) Fetch(ctx context.Context, req FetchRequest) (FetchResponse, error) {
	s.mu.Lock()
	s.requests = append(s.requests, req)
	n, answer := len(s.requests), s.answer
	s.mu.Unlock()
	return answer(ctx, n, req)
}

// sent returns the requests so far.
func (s *scriptedLeader) sent() []FetchRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *scriptedLeader) last() FetchRequest {
	sent := s.sent()
	return sent[len(sent)-1]
}

func (s *scriptedLeader) Close() error { s.closed = true; return nil }

// poll is a leader with nothing to say: the long poll.
func poll(ctx context.Context, req FetchRequest) (FetchResponse, error) {
	select {
	case <-time.After(req.MaxWait):
		return FetchResponse{}, nil
	case <-ctx.Done():
		return FetchResponse{}, ctx.Err()
	}
}

// events collects what is emitted.
type events struct {
	mu  sync.Mutex
	all []event.Event
}

func (e *events) Emit(all ...event.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, all...)
}
func (e *events) EmitAt(int64, ...event.Event) {}
func (e *events) Wants(event.Kind) bool        { return true }

func (e *events) count(kind event.Kind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.all {
		if one.Kind == kind {
			n++
		}
	}
	return n
}

// standalone is a replica of broker 2 by itself, on an empty log.
func standalone(t testing.TB, disk vfs.FS, number int32) *Replica {
	t.Helper()
	dir := fmt.Sprintf("orders-%d", number)
	log, _, err := partition.Open(disk, dir, partition.ConfigOf(*topicConfig(t)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	image, config := metadata.NewImage("test"), *topicConfig(t)
	return NewReplica(ReplicaConfig{
		Topic: topicName, ID: metadata.TopicPartition{Topic: metadata.UUID{1}, Partition: number}, Self: 2,
		SelfEpoch: func() int64 { return 20 }, Log: log,
		Image:      func() *metadata.Image { return image },
		Config:     func() metadata.TopicConfig { return config },
		LagTimeMax: func() time.Duration { return lagTime },
		Propose:    func(Proposal) {},
		Failed:     func(err error) { t.Errorf("disk: %v", err) },
	})
}

func topicConfig(t testing.TB) *metadata.TopicConfig {
	defaults, err := metadata.NewBrokerConfig(nil)
	require.NoError(t, err)
	config := defaults.Topic(nil)
	return &config
}

func following(leader, epoch int32) metadata.Partition {
	return metadata.Partition{Replicas: []int32{1, 2, 3}, ISR: []int32{leader}, Leader: leader, LeaderEpoch: epoch, PartitionEpoch: epoch}
}

// fetching runs a fetcher of leader 1 until the test ends, for replicas that
// follow it from leader epoch 4 on.
func fetching(t *testing.T, leader *scriptedLeader, sink event.Sink, g *gate.Gate, replicas ...*Replica) *Fetcher {
	f := NewFetcher(FetcherConfig{
		Leader: 1, Endpoint: leader, MaxWait: 500 * time.Millisecond, MaxBytes: 1 << 20, PartitionMaxBytes: 1 << 20,
		Backoff: time.Second, Gate: g, Events: sink, Node: "broker-2", Seed: 1,
	})
	for _, r := range replicas {
		r.Apply(following(1, 4), time.Now())
		f.Add(r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		require.True(t, leader.closed)
	})
	return f
}

func TestAFetcherSaysOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem(1)
		a, b := standalone(t, disk, 0), standalone(t, disk, 1)
		leader := &scriptedLeader{answer: func(ctx context.Context, n int, req FetchRequest) (FetchResponse, error) {
			if n == 2 {
				return FetchResponse{Partitions: []FetchedPartition{{ID: a.ID(), Records: borrowed(inLog(newBatch(time.Now(), nil, "x", "y"), 0, 4)), HighWatermark: 1}}}, nil
			}
			return poll(ctx, req)
		}}
		fetching(t, leader, nil, nil, a, b)
		time.Sleep(1600 * time.Millisecond)

		sent := leader.sent()
		require.GreaterOrEqual(t, len(sent), 4)
		require.True(t, sent[0].Full)
		require.Len(t, sent[0].Partitions, 2)
		require.Empty(t, sent[1].Partitions, "nothing has changed")
		require.Equal(t, []FetchPartition{{
			ID: a.ID(), Topic: topicName, CurrentLeaderEpoch: 4, FetchOffset: 2, LastFetchedEpoch: 4, MaxBytes: 1 << 20,
		}}, sent[2].Partitions)
		for _, req := range sent[3:] {
			require.Empty(t, req.Partitions)
		}
		require.EqualValues(t, 1, a.HighWatermark())
	})
}

func TestANewLeaderIsAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem(1)
		a, b := standalone(t, disk, 0), standalone(t, disk, 1)
		leader := &scriptedLeader{answer: func(ctx context.Context, _ int, req FetchRequest) (FetchResponse, error) { return poll(ctx, req) }}
		f := fetching(t, leader, nil, nil, a)
		time.Sleep(100 * time.Millisecond) // in the middle of a long poll
		require.Len(t, leader.sent(), 1)
		b.Apply(following(1, 4), time.Now())
		f.Add(b)
		synctest.Wait()
		require.Len(t, leader.sent(), 2)
		require.True(t, leader.sent()[1].Full, "nobody knows what became of the interrupted one")
		require.Len(t, leader.sent()[1].Partitions, 2)

		time.Sleep(600 * time.Millisecond)
		f.Remove(a.ID())
		synctest.Wait()
		last := leader.last()
		require.True(t, last.Full)
		require.Len(t, last.Partitions, 1)
		require.Equal(t, b.ID(), last.Partitions[0].ID)
	})
}

func TestAnErrorRestsOnePartitionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem(1)
		a, b := standalone(t, disk, 0), standalone(t, disk, 1)
		leader := &scriptedLeader{answer: func(ctx context.Context, n int, req FetchRequest) (FetchResponse, error) {
			if n == 1 {
				return FetchResponse{Partitions: []FetchedPartition{{ID: a.ID(), Err: metadata.ErrUnknownLeaderEpoch}}}, nil
			}
			return poll(ctx, req)
		}}
		began := time.Now()
		f := fetching(t, leader, nil, nil, a, b)
		synctest.Wait()
		require.Equal(t, []metadata.TopicPartition{a.ID()}, leader.sent()[1].Forgotten, "or the leader would repeat the error")
		require.Empty(t, leader.sent()[1].Partitions)

		for len(leader.last().Partitions) == 0 {
			time.Sleep(time.Millisecond)
		}
		require.InDelta(t, time.Second, time.Since(began), float64(20*time.Millisecond))
		again := leader.last()
		require.False(t, again.Full)
		require.Equal(t, a.ID(), again.Partitions[0].ID)

		// A new leader epoch ends the rest.
		leader.mu.Lock()
		leader.answer = func(ctx context.Context, _ int, req FetchRequest) (FetchResponse, error) {
			if len(req.Partitions) > 0 && req.Partitions[0].CurrentLeaderEpoch == 4 {
				return FetchResponse{Partitions: []FetchedPartition{{ID: a.ID(), Err: metadata.ErrFencedLeaderEpoch}}}, nil
			}
			return poll(ctx, req)
		}
		leader.mu.Unlock()
		f.Add(a)
		synctest.Wait()
		a.Apply(following(1, 5), time.Now())
		f.Add(a)
		synctest.Wait()
		last := leader.last()
		require.NotEmpty(t, last.Partitions)
	})
}

func TestAnOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead atomic.Bool
		dead.Store(true)
		leader := &scriptedLeader{answer: func(ctx context.Context, _ int, req FetchRequest) (FetchResponse, error) {
			if dead.Load() {
				return FetchResponse{}, errors.New("connection refused")
			}
			return poll(ctx, req)
		}}
		sink := &events{}
		a := standalone(t, vfs.NewMem(1), 0)
		fetching(t, leader, sink, nil, a)
		time.Sleep(10 * time.Second)
		require.Equal(t, 1, sink.count(event.FetcherFailed))
		require.Greater(t, len(leader.sent()), 9)
		require.Less(t, len(leader.sent()), 22, "between half and all of the back-off, every time")

		dead.Store(false)
		time.Sleep(5 * time.Second)
		dead.Store(true)
		time.Sleep(5 * time.Second)
		require.Equal(t, 2, sink.count(event.FetcherFailed), "a second outage")
	})
}

func TestALostSessionBeginsAnewWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := &scriptedLeader{answer: func(ctx context.Context, n int, req FetchRequest) (FetchResponse, error) {
			if n == 2 {
				return FetchResponse{}, fmt.Errorf("broker 1: %w", metadata.ErrFetchSessionIDNotFound)
			}
			return poll(ctx, req)
		}}
		sink := &events{}
		a := standalone(t, vfs.NewMem(1), 0)
		fetching(t, leader, sink, nil, a)
		time.Sleep(600 * time.Millisecond)
		require.Len(t, leader.sent(), 3)
		require.True(t, leader.sent()[2].Full)
		require.Len(t, leader.sent()[2].Partitions, 1)
		require.Zero(t, sink.count(event.FetcherFailed))
	})
}

func TestAPausedBrokerFetchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := &scriptedLeader{answer: func(ctx context.Context, _ int, req FetchRequest) (FetchResponse, error) { return poll(ctx, req) }}
		g := gate.New()
		a := standalone(t, vfs.NewMem(1), 0)
		fetching(t, leader, nil, g, a)
		synctest.Wait()
		g.Pause()
		time.Sleep(time.Hour)
		require.Len(t, leader.sent(), 1)
		g.Resume()
		synctest.Wait()
		require.Len(t, leader.sent(), 2)
		g.Shut()
		time.Sleep(time.Hour)
		require.Len(t, leader.sent(), 2)
	})
}

// BenchmarkFetcherRound is a round in which one of 10,000 partitions has news.
func BenchmarkFetcherRound(b *testing.B) {
	for _, idle := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("idle=%d", idle), func(b *testing.B) {
			disk := vfs.NewMem(1)
			busy := standalone(b, disk, 0)
			busy.Apply(following(1, 4), time.Now())
			leader := &scriptedLeader{}
			leader.answer = func(context.Context, int, FetchRequest) (FetchResponse, error) {
				leader.requests = leader.requests[:0]
				end := busy.Log().LogEndOffset()
				return FetchResponse{Partitions: []FetchedPartition{{ID: busy.ID(), Records: borrowed(inLog(newBatch(time.Unix(0, 0), nil, "x"), end, 4))}}}, nil
			}
			f := NewFetcher(FetcherConfig{Leader: 1, Endpoint: leader, MaxWait: time.Second, Backoff: time.Second})
			f.Add(busy)
			// The idle ones share one log: only what the fetcher does with them counts.
			for i := range idle {
				cfg := busy.cfg
				cfg.ID.Partition = int32(i) + 1
				r := NewReplica(cfg)
				r.Apply(following(1, 4), time.Now())
				f.Add(r)
			}
			require.NoError(b, f.round(b.Context())) // everything is said once
			b.ReportAllocs()
			before := busy.Log().LogEndOffset()
			n := int64(0)
			for b.Loop() {
				n++
				if err := f.round(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			require.Equal(b, before+n, busy.Log().LogEndOffset())
		})
	}
}
