package replication

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// Who has decided by what the log held in leader epoch 4 appends nothing in epoch 6, though this
// broker leads again: others have led meanwhile, and written what it did not see. It waits
// for the log while that happens.
func TestAnAppendOfOneLeadershipIsNoneOfAnother(t *testing.T) {
	late := func(t *testing.T) (wrong string) {
		synctest.Test(t, func(t *testing.T) {
			r := standalone(t, vfs.NewMem(1), 0)
			r.Apply(led(4, 2), time.Now())
			r.mustAppend(t, acksAll, "a")
			require.NoError(t, r.take(t.Context())) // somebody writes
			appended := make(chan error, 1)
			go func() {
				_, err := r.AppendIn(t.Context(), 4, newBatch(time.Now(), nil, "b"), acksAll, time.Now())
				appended <- err
			}()
			synctest.Wait()
			r.Apply(following(1, 5), time.Now())
			r.Apply(led(6, 2), time.Now())
			r.release()
			err := <-appended
			if end := r.Log().LogEndOffset(); err == nil || end != 1 {
				wrong = fmt.Sprintf("what was decided in leader epoch 4 is in the log of epoch 6 (it ends at %d, and the append with %v)", end, err)
				return
			}
			require.ErrorIs(t, err, metadata.ErrNotLeaderOrFollower)
			_, err = r.AppendIn(t.Context(), 6, newBatch(time.Now(), nil, "c"), acksAll, time.Now())
			require.NoError(t, err)
			_, err = r.AppendIn(t.Context(), 7, newBatch(time.Now(), nil, "d"), acksAll, time.Now())
			require.ErrorIs(t, err, metadata.ErrNotLeaderOrFollower, "it does not lead in that epoch yet")
			require.EqualValues(t, 2, r.Log().LogEndOffset())
		})
		return wrong
	}
	require.Empty(t, late(t))
	defer guard.AppendInEpoch.Remove()()
	wrong := late(t)
	require.NotEmpty(t, wrong, "it is told as if the rule were there")
	t.Log(wrong)
}
