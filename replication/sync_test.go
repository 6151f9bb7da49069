package replication

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// syncing is a replica that leads in epoch 4 a topic with flush.messages=1, on a disk
// whose syncs take a second from now on.
func syncing(t *testing.T, faults *vfs.Faults) *Replica {
	r := standalone(t, vfs.WithFaults(vfs.NewMem(1), faults), 0)
	r.Log().SetConfig(partition.Config{FlushMessages: 1})
	r.Apply(led(4, 1, 2), time.Now())
	r.Settle()
	require.NoError(t, r.Log().Sync())
	faults.SlowBy(0, time.Second)
	return r
}

func TestNothingIsToldBeforeItsSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		r := syncing(t, &faults)
		news := make(bell, 1)
		r.Subscribe(news)
		began := time.Now()
		var committed atomic.Int32
		for i := range 3 {
			a := r.mustAppend(t, acksAll, fmt.Sprint(i))
			require.True(t, a.SyncOwed())
			go func() {
				if err := r.AwaitCommitted(t.Context(), a); err != nil {
					t.Error(err)
				}
				committed.Add(1)
			}()
			synctest.Wait()
		}
		require.Zero(t, time.Since(began), "nobody waits to write")
		for shown := range int64(2) {
			for _, req := range []ReadRequest{followerRead(1, 0, 4, -1), consumerRead(0)} {
				res := r.Read(nil, req, time.Now())
				require.NoError(t, res.Err)
				require.Equal(t, shown, res.LogEndOffset)
				require.Equal(t, shown > 0 && req.Follower != Consumer, len(res.Records) > 0)
			}
			require.Equal(t, int(shown), len(news))
			require.Zero(t, r.HighWatermark())
			time.Sleep(time.Second)
			synctest.Wait()
		}
		require.NoError(t, r.Read(nil, followerRead(1, 3, 4, 4), time.Now()).Err)
		synctest.Wait()
		require.EqualValues(t, 3, committed.Load())
		require.EqualValues(t, 3, r.HighWatermark())
		require.Equal(t, 2*time.Second, time.Since(began), "a sync for the first, one for the others")
	})
}

// A leader that is deposed during a sync acks nothing, and what it owed is synced
// before it tells the new leader how far its log goes.
func TestDeposedDuringASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		r := syncing(t, &faults)
		var all sync.WaitGroup
		for range 3 {
			a := r.mustAppend(t, 1, "x")
			all.Go(func() {
				if err := r.AwaitSynced(a); !errors.Is(err, metadata.ErrNotLeaderOrFollower) {
					t.Errorf("acked: %v", err)
				}
			})
			synctest.Wait()
		}
		require.True(t, r.Apply(following(1, 5), time.Now()), "which waits for no disk")
		pos, ok := r.position(1)
		require.True(t, ok)
		require.EqualValues(t, 3, pos.FetchOffset)
		all.Wait()
	})
}

func TestElectedAgainDuringASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		r := syncing(t, &faults)
		a := r.mustAppend(t, 1, "x")
		require.False(t, r.Apply(led(5, 1, 2), time.Now()))
		r.Settle()
		require.Equal(t, []partition.EpochStart{{Epoch: 4, Offset: 0}, {Epoch: 5, Offset: 1}}, r.Log().Epochs())
		require.EqualValues(t, 1, r.Status().EpochStartOffset)
		require.ErrorIs(t, r.AwaitSynced(a), metadata.ErrNotLeaderOrFollower)
	})
}

func TestAFailedSyncIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		r := syncing(t, &faults)
		failed := 0
		r.cfg.Failed = func(error) { failed++ }
		faults.Fail(vfs.OpSync, "*.log", syscall.EIO)
		var all sync.WaitGroup
		for range 64 {
			a := r.mustAppend(t, acksAll, "x")
			all.Go(func() {
				if err := r.AwaitCommitted(t.Context(), a); !errors.Is(err, metadata.ErrStorage) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, failed)
		require.Zero(t, r.Log().LogEndOffset())
	})
}
