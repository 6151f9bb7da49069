package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// led is the state in which broker 2, whose replicas these are, leads.
func led(epoch int32, isr ...int32) metadata.Partition {
	return metadata.Partition{Replicas: []int32{1, 2, 3}, ISR: isr, Leader: 2, LeaderEpoch: epoch, PartitionEpoch: epoch}
}

func (r *Replica) mustAppend(t *testing.T, acks int16, values ...string) Appended {
	t.Helper()
	a, err := r.Append(t.Context(), newBatch(time.Now(), nil, values...), acks, time.Now())
	require.NoError(t, err)
	return a
}

// followerRead is a fetch of broker 1 or 3.
func followerRead(broker int32, offset int64, epoch, last int32) ReadRequest {
	return ReadRequest{Offset: offset, MaxBytes: 1 << 20, CurrentLeaderEpoch: epoch, LastFetchedEpoch: last, Follower: broker, FollowerEpoch: 10 * int64(broker)}
}

func consumerRead(offset int64) ReadRequest {
	return ReadRequest{Offset: offset, MaxBytes: 1 << 20, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, Follower: Consumer}
}

func TestARoleChangeDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		r := standalone(t, vfs.WithFaults(vfs.NewMem(1), &faults), 0)
		r.Apply(led(4, 1, 2), time.Now())
		waits := r.mustAppend(t, acksAll, "a")
		waited := make(chan error)
		go func() { waited <- r.AwaitCommitted(t.Context(), waits) }()

		heal := faults.SlowBy(45*time.Second, 0)
		appended := make(chan error)
		go func() {
			_, err := r.Append(t.Context(), newBatch(time.Now(), nil, "b"), acksAll, time.Now())
			appended <- err
		}()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Read(nil, consumerRead(0), time.Now()).Err, "a reader does not wait for a writer")

		require.False(t, r.Apply(following(1, 5), time.Now()), "the log is busy")
		require.ErrorIs(t, <-waited, metadata.ErrNotLeaderOrFollower)
		require.ErrorIs(t, r.Read(nil, consumerRead(0), time.Now()).Err, metadata.ErrNotLeaderOrFollower)
		_, ok := r.position(1)
		require.False(t, ok, "its log end is not certain yet")
		r.Tick(time.Now())
		require.Zero(t, time.Since(began), "nothing of this waited")

		require.ErrorIs(t, <-appended, metadata.ErrNotLeaderOrFollower, "written, but too late to be acked")
		require.Equal(t, 45*time.Second, time.Since(began))
		heal()
		pos, ok := r.position(1)
		require.True(t, ok, "who held the log has taken the new role")
		require.EqualValues(t, 2, pos.FetchOffset)
	})
}

func TestABatchBeingWrittenBelongsToTheOldEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		r := standalone(t, vfs.WithFaults(vfs.NewMem(1), &faults), 0)
		r.Apply(led(4, 2), time.Now())
		r.mustAppend(t, acksAll, "a")
		heal := faults.SlowBy(time.Second, 0)
		appended := make(chan error)
		go func() {
			_, err := r.Append(t.Context(), newBatch(time.Now(), nil, "b"), 1, time.Now())
			appended <- err
		}()
		synctest.Wait()
		r.Apply(led(5, 2), time.Now())
		r.Apply(led(6, 2), time.Now()) // and once more, before anybody could take the role
		require.ErrorIs(t, <-appended, metadata.ErrNotLeaderOrFollower)
		heal()
		status := r.Status()
		require.Equal(t, Leading, status.Role)
		require.EqualValues(t, 6, status.LeaderEpoch)
		require.EqualValues(t, 2, status.EpochStartOffset, "the new epoch begins after it")
		require.EqualValues(t, 6, r.mustAppend(t, acksAll, "c").Epoch)
	})
}

func TestWhoWaitsForTheLogGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := standalone(t, vfs.NewMem(1), 0)
		r.Apply(led(4, 2), time.Now())
		require.NoError(t, r.take(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.Append(ctx, newBatch(time.Now(), nil, "a"), 1, time.Now())
		require.ErrorIs(t, err, metadata.ErrRequestTimedOut)
		r.release()
		require.EqualValues(t, 0, r.Log().LogEndOffset())
	})
}

func TestClosingWakesEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := standalone(t, vfs.NewMem(1), 0)
		r.Apply(led(4, 1, 2), time.Now())
		a := r.mustAppend(t, acksAll, "a")
		waited := make(chan error)
		go func() { waited <- r.AwaitCommitted(t.Context(), a) }()
		synctest.Wait()
		r.Close()
		require.ErrorIs(t, <-waited, metadata.ErrNotLeaderOrFollower)
		require.True(t, r.Apply(led(5, 2), time.Now()))
		_, err := r.Append(t.Context(), newBatch(time.Now(), nil, "b"), 1, time.Now())
		require.ErrorIs(t, err, metadata.ErrNotLeaderOrFollower, "closed for good")
	})
}

// counted is a Subscriber.
type counted struct{ n atomic.Int64 }

func (c *counted) News(*Replica, Change) { c.n.Add(1) }

func TestSubscribersHearOfEverything(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	var news, other counted
	r.Subscribe(&news)
	r.Subscribe(&other)
	r.Unsubscribe(&other)
	r.Unsubscribe(&other) // twice does no harm
	heard := func(what string) {
		t.Helper()
		require.Positive(t, news.n.Swap(0), what)
	}
	r.Apply(led(4, 1, 2), time.Now())
	heard("the old role ended")
	r.Settle()
	heard("the new one began")
	r.mustAppend(t, acksAll, "a")
	heard("append")
	require.NoError(t, r.Read(nil, followerRead(1, 1, 4, 4), time.Now()).Err)
	heard("the high watermark moved")
	require.NoError(t, r.Read(nil, followerRead(1, 1, 4, 4), time.Now()).Err)
	require.Zero(t, news.n.Load(), "nothing happened")
	r.Apply(following(1, 5), time.Now())
	heard("deposed")
	pos, ok := r.position(1)
	require.True(t, ok)
	require.NoError(t, r.copied(t.Context(), pos, FetchedPartition{Records: borrowed(inLog(newBatch(time.Now(), nil, "b"), 1, 5)), HighWatermark: 2}))
	heard("copied")
	r.Close()
	heard("closed")
	require.Zero(t, other.n.Load())
}

func TestWhatIsReadAndByWhom(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	r.Apply(led(4, 1, 2), time.Now())
	r.mustAppend(t, acksAll, "a", "b")
	r.mustAppend(t, acksAll, "c")
	at := time.Now()

	require.Empty(t, r.Read(nil, consumerRead(0), at).Records, "nothing is committed")
	require.NotEmpty(t, r.Read(nil, followerRead(1, 0, 4, -1), at).Records)
	res := r.Read([]byte("buffer"), followerRead(1, 2, 4, 4), at)
	require.NoError(t, res.Err)
	require.EqualValues(t, 2, res.HighWatermark, "this very fetch has moved it")
	require.Equal(t, "buffer", string(res.Records[:6]), "records are appended")
	res = r.Read(nil, consumerRead(1), at)
	got, err := readBatches(res.Records)
	require.NoError(t, err)
	require.Equal(t, []stored{{base: 0, epoch: 4, values: []string{"a", "b"}}}, got, "the whole batch around an offset, and not past the high watermark")
	require.Empty(t, r.Read(nil, consumerRead(3), at).Records)
	require.NoError(t, r.Read(nil, consumerRead(3), at).Err, "the end is in range")

	for name, c := range map[string]struct {
		req  ReadRequest
		want error
	}{
		"above the end":   {consumerRead(4), metadata.ErrOffsetOutOfRange},
		"below the start": {consumerRead(-1), metadata.ErrOffsetOutOfRange},
		"an older epoch":  {followerRead(1, 2, 3, 3), metadata.ErrFencedLeaderEpoch},
		"a newer epoch":   {followerRead(1, 2, 5, 4), metadata.ErrUnknownLeaderEpoch},
		"a stranger":      {followerRead(7, 2, 4, 4), metadata.ErrUnknownLeaderEpoch},
	} {
		res := r.Read(nil, c.req, at)
		require.ErrorIs(t, res.Err, c.want, name)
		require.Empty(t, res.Records, name)
		require.EqualValues(t, -1, res.HighWatermark, name)
	}
	require.EqualValues(t, 0, r.Read(nil, consumerRead(-1), at).LogStartOffset, "what a follower needs to start over")
	div := r.Read(nil, followerRead(1, 9, 4, 4), at).Diverging
	require.NotNil(t, div)
	require.EqualValues(t, 3, div.Offset)
	require.EqualValues(t, 2, r.HighWatermark(), "and that was no progress")
}

// A fetch that waits is read for again when there is news. By then the follower may be further,
// by another fetch; what the first one said is old.
func TestAFetchThatWaitedSaysNothingNewOfItsFollower(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	r.Apply(led(4, 1, 2), time.Now())
	waiting := followerRead(1, 0, 4, -1)
	require.NoError(t, r.Read(nil, waiting, time.Now()).Err)
	r.mustAppend(t, acksAll, "a")
	require.NoError(t, r.Read(nil, followerRead(1, 1, 4, 4), time.Now()).Err)
	waiting.Again = true
	require.NotEmpty(t, r.Read(nil, waiting, time.Now()).Records)
	require.EqualValues(t, 1, r.Status().Followers[0].LogEndOffset)
	require.EqualValues(t, 1, r.HighWatermark())
}

// A bell is a Subscriber to wait for.
type bell chan struct{}

func (b bell) News(*Replica, Change) {
	select {
	case b <- struct{}{}:
	default:
	}
}

func (b bell) wait(ctx context.Context) {
	select {
	case <-b:
	case <-ctx.Done():
	}
}

// TestManyAtOnce has producers, followers, readers and elections work on one
// replica at the same time. Whatever was acked must lie in the log where the ack
// said, under the epoch that it said.
func TestManyAtOnce(t *testing.T) { manyAtOnce(t, standalone(t, vfs.NewMem(1), 0)) }

// The same with syncs that are shared.
func TestManyAtOnceSynced(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	r.Log().SetConfig(partition.Config{FlushMessages: 1})
	manyAtOnce(t, r)
}

func manyAtOnce(t *testing.T, r *Replica) {
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var epoch atomic.Int32
	change := func() {
		e := epoch.Add(1)
		if e%5 == 4 {
			r.Apply(following(1, e), time.Now())
		} else {
			r.Apply(led(e, 1, 2, 3), time.Now())
		}
	}
	change()

	var mu sync.Mutex
	acked := map[int64]string{}
	epochs := map[int64]int32{}
	attempted := make(chan struct{})
	for p := range 4 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				select {
				case attempted <- struct{}{}:
				default:
				}
				value := fmt.Sprintf("%d-%d", p, i)
				a, err := r.Append(ctx, newBatch(time.Now(), nil, value), acksAll, time.Now())
				if err == nil {
					err = r.AwaitCommitted(ctx, a)
				}
				if err != nil {
					if !errors.Is(err, metadata.ErrNotLeaderOrFollower) && !errors.Is(err, metadata.ErrRequestTimedOut) {
						t.Errorf("produce: %v", err)
					}
					continue
				}
				mu.Lock()
				if old, ok := acked[a.BaseOffset]; ok {
					t.Errorf("%s and %s were acked at offset %d", old, value, a.BaseOffset)
				}
				acked[a.BaseOffset], epochs[a.BaseOffset] = value, a.Epoch
				mu.Unlock()
			}
		})
	}
	for _, broker := range []int32{1, 3} {
		all.Go(func() {
			at, last := int64(0), int32(-1)
			var buf []byte
			news := make(bell, 1)
			r.Subscribe(news)
			for ; ctx.Err() == nil; news.wait(ctx) {
				res := r.Read(buf[:0], followerRead(broker, at, epoch.Load(), last), time.Now())
				buf = res.Records
				switch {
				case res.Err != nil:
					continue
				case res.Diverging != nil:
					at, last = res.Diverging.Offset, res.Diverging.Epoch
				}
				if res.Diverging != nil || len(res.Records) > 0 {
					news.News(r, anyChange) // there may be more
				}
				got, err := readBatches(res.Records)
				if err != nil {
					t.Errorf("broker %d reads at %d: %v", broker, at, err)
				}
				for _, b := range got {
					if b.base != at {
						t.Errorf("broker %d wants %d and gets %d", broker, at, b.base)
					}
					at, last = b.base+int64(len(b.values)), b.epoch
				}
			}
		})
	}
	all.Go(func() {
		news := make(bell, 1)
		r.Subscribe(news)
		for ; ctx.Err() == nil; news.wait(ctx) {
			var s counted
			r.Subscribe(&s)
			_ = r.Status()
			r.Tick(time.Now())
			_, _, _ = r.EndOffset(-1)
			r.Unsubscribe(&s)
		}
	})
	rng := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		for range rng.IntN(40) {
			<-attempted
		}
		change()
	}
	stop()
	all.Wait()

	n := &node{w: &world{fail: t.Fatalf}, log: r.Log()}
	in := entries(n.batches(), t.Errorf, 2)
	require.Greater(t, len(acked), 50)
	for at, value := range acked {
		require.Equal(t, entry{value, epochs[at]}, in[at])
	}
	t.Logf("%d acked in %d epochs", len(acked), epoch.Load())
}

// BenchmarkCommit is what one batch costs on the leader, from the append to the
// ack: two followers fetch it and say so.
func BenchmarkCommit(b *testing.B) {
	for _, records := range []int{1, 100} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			r := standalone(b, vfs.NewMem(1), 0)
			r.Apply(led(1, 1, 2, 3), time.Now())
			values := make([]string, records)
			for i := range values {
				values[i] = string(make([]byte, 1024))
			}
			batch := newBatch(time.Now(), nil, values...)
			var buf []byte
			now, last := time.Now(), int32(-1)
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				a, err := r.Append(b.Context(), batch, acksAll, now)
				if err != nil {
					b.Fatal(err)
				}
				for _, broker := range []int32{1, 3} {
					res := r.Read(buf[:0], followerRead(broker, a.BaseOffset, 1, last), now)
					if buf = res.Records; len(buf) != len(batch) {
						b.Fatalf("%d bytes, %v", len(buf), res.Err)
					}
				}
				last = 1
				for _, broker := range []int32{1, 3} {
					r.Read(nil, followerRead(broker, a.LastOffset+1, 1, last), now)
				}
				if err := r.AwaitCommitted(b.Context(), a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
