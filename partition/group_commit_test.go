package partition_test

import (
	"errors"
	"fmt"
	"path"
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
	"github.com/brokersim/brokersim/partition/batchtest"
)

var syncEach = partition.Config{FlushMessages: 1}

// A syncedFS calls before at each sync of a file with batches, and counts them.
type syncedFS struct {
	vfs.FS
	before func() error
	syncs  atomic.Int64
}

func (d *syncedFS) Open(name string) (vfs.File, error)   { return d.wrap(name, d.FS.Open) }
func (d *syncedFS) Create(name string) (vfs.File, error) { return d.wrap(name, d.FS.Create) }

func (d *syncedFS) wrap(name string, open func(string) (vfs.File, error)) (vfs.File, error) {
	f, err := open(name)
	if err != nil || path.Ext(name) != ".log" {
		return f, err
	}
	return &syncedFile{f, d}, nil
}

type syncedFile struct {
	vfs.File
	disk *syncedFS
}

func (f *syncedFile) Sync() error {
	f.disk.syncs.Add(1)
	if err := f.disk.before(); err != nil {
		return err
	}
	return f.File.Sync()
}

// slowSync is a disk whose syncs take a millisecond.
func slowSync(disk vfs.FS) *syncedFS {
	return &syncedFS{FS: disk, before: func() error { time.Sleep(time.Millisecond); return nil }}
}

// Whoever appends while a sync runs shares the next one.
func TestProducersShareSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const producers, rounds = 64, 20
		disk := slowSync(vfs.NewMem(1))
		l := open(t, disk, syncEach)
		began := time.Now()
		var all sync.WaitGroup
		for p := range producers {
			all.Go(func() {
				for i := range rounds {
					info, err := appendWhole(l, batchtest.NewBatch(fmt.Sprint(p, "-", i)), 0)
					if err != nil || info.LastOffset >= l.LogEndOffset() {
						t.Errorf("acked %d, end %d: %v", info.LastOffset, l.LogEndOffset(), err)
					}
				}
			})
		}
		all.Wait()
		require.Len(t, values(t, l, 0), producers*rounds)
		require.LessOrEqual(t, disk.syncs.Load(), int64(2*rounds+1), "two for each round of all of them")
		require.LessOrEqual(t, time.Since(began), (2*rounds+1)*time.Millisecond)
	})
}

// What a sync has not met yet is seen by nobody, and more can be written behind it.
func TestNothingIsShownBeforeItsSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		disk := &syncedFS{FS: vfs.NewMem(1), before: func() error { <-let; return nil }}
		l := open(t, disk, syncEach)
		var acked atomic.Int64
		producer := batchtest.Spec{Producer: &batchtest.Producer{ID: 7}, Records: []batchtest.Record{{Value: []byte("a")}}}
		write := func(batch []byte) partition.AppendInfo {
			info, err := l.AppendAsLeader(batch, 0, now)
			require.NoError(t, err)
			require.True(t, info.SyncOwed())
			go func() {
				if l.AwaitSynced(info) == nil {
					acked.Add(1)
				}
			}()
			synctest.Wait()
			return info
		}
		see := func(want ...string) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, want, values(t, l, 0))
			require.EqualValues(t, len(want), l.LogEndOffset())
			require.Equal(t, len(want) > 0, l.Size() > 0)
			require.EqualValues(t, len(want), l.EndOffsetForEpoch(0).Offset)
			newest, err := l.OffsetOfMaxTime(100)
			require.NoError(t, err)
			require.Equal(t, len(want) > 0, newest.Offset >= 0)
		}
		write(producer.Bytes())
		again := write(producer.Bytes())
		require.True(t, again.Duplicate, "sent again, it waits like its original")
		write(batchtest.NewBatch("b"))
		write(batchtest.NewBatch("c"))
		see()
		require.Zero(t, acked.Load())
		let <- struct{}{}
		see("a")
		require.EqualValues(t, 2, acked.Load(), "the first and its duplicate")
		require.EqualValues(t, 2, disk.syncs.Load())
		let <- struct{}{}
		see("a", "b", "c")
		require.EqualValues(t, 4, acked.Load())
		done, err := l.AppendAsLeader(producer.Bytes(), 0, now)
		require.NoError(t, err)
		require.True(t, done.Duplicate && !done.SyncOwed())
		require.EqualValues(t, 2, disk.syncs.Load())
	})
}

// flush.messages=3: what is written is shown at once, but for the third that is not
// synced, and all behind it, until a sync has met it.
func TestEveryNthAppendOwesASync(t *testing.T) {
	disk := slowSync(vfs.NewMem(0))
	l := open(t, disk, partition.Config{FlushMessages: 3})
	var owed []partition.AppendInfo
	for i, c := range []struct {
		shown int64
		owes  bool
	}{{1, false}, {2, false}, {2, true}, {2, true}} {
		info, err := l.AppendAsLeader(batchtest.NewBatch(fmt.Sprint(i)), 0, now)
		require.NoError(t, err)
		require.Equal(t, c.owes, info.SyncOwed(), i)
		require.Equal(t, c.shown, l.LogEndOffset(), i)
		owed = append(owed, info)
	}
	require.NoError(t, l.AwaitSynced(owed[2]))
	require.EqualValues(t, 4, l.LogEndOffset())
	for _, info := range owed {
		require.NoError(t, l.AwaitSynced(info))
	}
	require.EqualValues(t, 1, disk.syncs.Load())
	appendTo(t, l, 0, "4")
	appendTo(t, l, 0, "5")
	require.EqualValues(t, 1, disk.syncs.Load())
	appendTo(t, l, 0, "6")
	require.EqualValues(t, 2, disk.syncs.Load())
}

// A sync that returns late takes back nothing that was shown meanwhile.
func TestWhatWasShownStaysShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, slowSync(vfs.NewMem(1)), partition.Config{FlushMessages: 3})
		appendTo(t, l, 0, "a")
		var flusher sync.WaitGroup
		flusher.Go(func() {
			if err := l.Sync(); err != nil { // it meets one of four
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 3 {
			_, err := l.AppendAsLeader(batchtest.NewBatch("b"), 0, now)
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, l.LogEndOffset())
		flusher.Wait()
		require.EqualValues(t, 2, l.LogEndOffset())
		require.NoError(t, l.Settle())
		require.EqualValues(t, 4, l.LogEndOffset())
	})
}

// Retention looks at a log that owes nothing, or it would take what it has not seen
// for a part of what is old.
func TestRetentionKeepsWhatOwesASync(t *testing.T) {
	l := open(t, vfs.NewMem(1), syncEach)
	appendTo(t, l, 0, "a")
	_, err := l.AppendAsLeader(batchtest.NewBatch("b"), 0, now)
	require.NoError(t, err)
	require.Zero(t, retain(t, l, 0, 1, partition.Retention{Delete: true, Time: -1}))
	require.Equal(t, []string{"a", "b"}, values(t, l, 0))
}

// A sync that fails fails all who wait for it, and is not tried again.
func TestAFailedSyncFailsAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := slowSync(vfs.NewMem(1))
		healthy := disk.before
		l := open(t, disk, syncEach)
		appendTo(t, l, 0, "a")
		disk.before = func() error { return errors.Join(healthy(), syscall.EIO) }
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if _, err := appendWhole(l, batchtest.NewBatch("b"), 0); !errors.Is(err, metadata.ErrStorage) {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 2, disk.syncs.Load())
		require.Equal(t, []string{"a"}, values(t, l, 0))
		require.ErrorIs(t, l.Sync(), metadata.ErrStorage)
	})
}

// flush.ms: a sync that takes long holds up no append, and none that is not owed.
func TestAppendsGoOnDuringASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem(0)
		l := open(t, slowSync(disk), partition.Config{})
		appendTo(t, l, 0, "a")
		var flusher sync.WaitGroup
		flusher.Go(func() {
			if err := l.Sync(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		began := time.Now()
		appendTo(t, l, 0, "b")
		require.Equal(t, []string{"a", "b"}, values(t, l, 0))
		require.Zero(t, time.Since(began))
		flusher.Wait()
		disk.PowerLoss()
		l, _, err := partition.Open(disk, dir, partition.Config{})
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, "a", values(t, l, 0)[0])
	})
}

// A follower tells its leader how far it is when its append has returned.
func TestAFollowersAppendWaitsForItsSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem(0)
		disk := slowSync(mem)
		l := open(t, disk, syncEach)
		began := time.Now()
		_, err := l.AppendAsFollower(append(batchtest.At(0, 1, "a"), batchtest.At(1, 1, "b")...), 1)
		require.NoError(t, err)
		require.EqualValues(t, 2, l.LogEndOffset())
		require.Equal(t, time.Millisecond, time.Since(began), "one sync for all of it")
		mem.PowerLoss()
		l, _, err = partition.Open(mem, dir, syncEach)
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, []string{"a", "b"}, values(t, l, 0))
	})
}

// A process may die between a write and its sync. What it left is shown by the next
// one, which must not tell anybody of it before it is synced.
func TestWhatACrashLeftIsSettled(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, syncEach)
	_, err := l.AppendAsLeader(batchtest.NewBatch("a"), 0, now)
	require.NoError(t, err)
	l, _ = reopen(t, l, disk, partition.Config{}) // the topic's configs are not known yet
	require.EqualValues(t, 1, l.LogEndOffset())
	l.SetConfig(syncEach)
	require.NoError(t, l.Settle())
	disk.PowerLoss()
	l, _, err = partition.Open(disk, dir, syncEach)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, []string{"a"}, values(t, l, 0))
}
