package replication

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// A tally is over when every one of its waits is, however each of them ended.
func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem(1)
		var replicas []*Replica
		var appended []Appended
		for n := range int32(4) {
			r := standalone(t, disk, n)
			r.Apply(led(4, 1, 2, 3), time.Now())
			r.Settle()
			replicas = append(replicas, r)
			appended = append(appended, r.mustAppend(t, acksAll, "a"))
		}
		begin := func(ctx context.Context) <-chan struct{} {
			over := make(chan struct{})
			go func() {
				defer close(over)
				tally := NewTally()
				for i, r := range replicas {
					tally.Count(r, appended[i])
				}
				tally.Wait(ctx)
			}()
			synctest.Wait()
			return over
		}
		isOver := func(over <-chan struct{}) bool {
			synctest.Wait()
			select {
			case <-over:
				return true
			default:
				return false
			}
		}
		commit := func(r *Replica) {
			for _, broker := range []int32{1, 3} {
				require.NoError(t, r.Read(nil, followerRead(broker, 1, 4, 4), time.Now()).Err)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		hurried, patient := begin(ctx), begin(t.Context())
		commit(replicas[2])
		commit(replicas[0])
		require.False(t, isOver(patient))
		replicas[3].Close()
		require.False(t, isOver(patient), "one is not committed yet")
		time.Sleep(2 * time.Second)
		require.True(t, isOver(hurried), "its time was over")
		require.Len(t, replicas[1].marks.counts, 1, "and it left nothing behind")
		commit(replicas[1])
		require.True(t, isOver(patient))
		for i, r := range replicas {
			err := r.AwaitCommitted(t.Context(), appended[i])
			require.Equal(t, i == 3, err != nil)
			require.Empty(t, r.marks.counts)
		}
		require.ErrorIs(t, replicas[3].AwaitCommitted(t.Context(), appended[3]), metadata.ErrNotLeaderOrFollower)
		require.True(t, isOver(begin(t.Context())), "everything has ended before")
	})
}
