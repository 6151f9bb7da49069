package replication

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// alone leads, with three records that are committed.
func alone(t *testing.T, disk vfs.FS) *Replica {
	r := standalone(t, disk, 0)
	r.Apply(led(4, 2), time.Now())
	r.mustAppend(t, acksAll, "a", "b", "c")
	r.Settle()
	return r
}

func TestOnlyTopicsThatDeleteMayBeDeletedFrom(t *testing.T) {
	for policy, want := range map[metadata.CleanupPolicy]error{
		"compact": metadata.ErrPolicyViolation, "delete": nil, "compact,delete": nil,
	} {
		r := alone(t, vfs.NewMem(1))
		config := *topicConfig(t)
		config.CleanupPolicy = policy
		r.cfg.Config = func() metadata.TopicConfig { return config }
		d, err := r.DeleteRecords(t.Context(), HighWatermarkOffset)
		require.ErrorIs(t, err, want, policy)
		if want == nil {
			require.Equal(t, Deleted{Before: 3, Epoch: 4}, d)
		}
	}
}

func TestDeletingWaitsForTheLogNoLongerThanItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, vfs.NewMem(1))
		require.NoError(t, r.take(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.DeleteRecords(ctx, 1)
		require.ErrorIs(t, err, metadata.ErrRequestTimedOut)
		r.release()
		require.Zero(t, r.Log().LogStartOffset())
	})
}

// Who waits is woken by a fetch, by the disk that remembers, and by the end of the
// leadership; a wait belongs to one leadership.
func TestWhoWaitsForTheLowWatermarkIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := alone(t, vfs.NewMem(1))
		keeper := &forgetful{}
		r.cfg.Starts = keeper
		r.Apply(metadata.Partition{Replicas: []int32{1, 2}, ISR: []int32{2, 1}, Leader: 2, LeaderEpoch: 4, PartitionEpoch: 9}, time.Now())
		d, err := r.DeleteRecords(t.Context(), 2)
		require.NoError(t, err)
		answers := make(chan error)
		wait := func() {
			_, err := r.AwaitLowWatermark(t.Context(), d)
			answers <- err
		}
		go wait()
		fetch := func(start int64) {
			req := followerRead(1, 3, 4, 4)
			req.FollowerLogStart = start
			require.NoError(t, r.Read(nil, req, time.Now()).Err)
			synctest.Wait()
		}
		fetch(1)
		fetch(2)
		require.EqualValues(t, 0, r.LowWatermark(), "its own disk does not know yet")
		r.StartKept(2)
		require.NoError(t, <-answers)
		require.EqualValues(t, 2, r.LowWatermark())

		d, err = r.DeleteRecords(t.Context(), 3)
		require.NoError(t, err)
		r.StartKept(3)
		go wait()
		synctest.Wait()
		r.Apply(following(1, 10), time.Now())
		require.ErrorIs(t, <-answers, metadata.ErrNotLeaderOrFollower)
		r.Apply(led(11, 2), time.Now())
		r.Settle()
		_, err = r.AwaitLowWatermark(t.Context(), d)
		require.ErrorIs(t, err, metadata.ErrNotLeaderOrFollower, "of another leadership")
		require.EqualValues(t, 3, r.LowWatermark())
	})
}

// forgetful is a disk that remembers only what the test says.
type forgetful struct{ lowered []int64 }

func (*forgetful) Keep() error { return nil }

func (f *forgetful) Lower(r *Replica, offset int64, change func() error) error {
	f.lowered = append(f.lowered, offset)
	if err := change(); err != nil {
		return err
	}
	r.StartKept(offset)
	return nil
}

// A log that is dropped for one that starts earlier is first forgotten to have
// started later; one that is dropped for a later start is not.
func TestALowerStartIsRememberedFirst(t *testing.T) {
	r := alone(t, vfs.NewMem(1))
	keeper := &forgetful{}
	r.cfg.Starts = keeper
	_, err := r.DeleteRecords(t.Context(), 2)
	require.NoError(t, err)
	r.StartKept(2)
	require.NoError(t, r.cut(Step{Kind: TruncateTo, To: 1}, 5))
	require.Equal(t, []int64{1}, keeper.lowered)
	require.Equal(t, []int64{1, 1}, []int64{r.Log().LogStartOffset(), r.KeptStart()})
	require.NoError(t, r.cut(Step{Kind: ResetTo, To: 7}, 5))
	require.Equal(t, []int64{1}, keeper.lowered)
	require.Equal(t, []int64{7, 1}, []int64{r.Log().LogStartOffset(), r.KeptStart()})
	require.True(t, r.unkept())
}

// A disk that fails while records are deleted takes the replica down.
func TestDeletingOnABrokenDisk(t *testing.T) {
	var faults vfs.Faults
	r := alone(t, vfs.WithFaults(vfs.NewMem(1), &faults))
	var failed error
	r.cfg.Failed = func(err error) { failed = err }
	defer faults.Fail(vfs.OpCreate, "", errors.New("no more"))()
	_, err := r.DeleteRecords(t.Context(), 2)
	require.ErrorIs(t, err, metadata.ErrStorage)
	require.ErrorIs(t, failed, metadata.ErrStorage)
	_, err = r.DeleteRecords(t.Context(), 2)
	require.ErrorIs(t, err, metadata.ErrNotLeaderOrFollower)
}
