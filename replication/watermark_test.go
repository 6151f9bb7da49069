package replication

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

func TestWatermarkWaits(t *testing.T) {
	for name, c := range map[string]struct {
		next mark
		want error
	}{
		"reached":              {mark{open: true, epoch: 3, offset: 10}, nil},
		"passed":               {mark{open: true, epoch: 3, offset: 11}, nil},
		"not reached":          {mark{open: true, epoch: 3, offset: 9}, metadata.ErrRequestTimedOut},
		"in another epoch":     {mark{open: true, epoch: 4, offset: 10}, metadata.ErrNotLeaderOrFollower},
		"closed":               {mark{}, metadata.ErrNotLeaderOrFollower},
		"the ISR is too small": {mark{open: true, epoch: 3, offset: 9, short: true}, metadata.ErrNotEnoughReplicasAfterAppend},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w Watermark
				w.set(mark{open: true, epoch: 3, offset: 5})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				got := make(chan error)
				for range 3 {
					go func() { got <- w.Wait(ctx, 3, 10) }()
				}
				synctest.Wait()
				began := time.Now()
				w.set(c.next)
				for range 3 {
					require.ErrorIs(t, <-got, c.want)
				}
				if c.want != metadata.ErrRequestTimedOut {
					require.Zero(t, time.Since(began), "nobody waits longer than needed")
				}
			})
		})
	}
}

// Who only wants to know that it is committed does not mind how many replicas are in sync.
func TestPassedHowFewReplicasEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Watermark
		w.set(mark{open: true, epoch: 3, offset: 9, short: true})
		require.ErrorIs(t, w.Wait(t.Context(), 3, 9), metadata.ErrNotEnoughReplicasAfterAppend)
		require.NoError(t, w.WaitPassed(t.Context(), 3, 9))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.WaitPassed(ctx, 3, 10), metadata.ErrRequestTimedOut)
		got := make(chan error)
		go func() { got <- w.WaitPassed(t.Context(), 3, 10) }()
		synctest.Wait()
		w.set(mark{open: true, epoch: 4, offset: 10})
		require.ErrorIs(t, <-got, metadata.ErrNotLeaderOrFollower)
	})
}

func TestWhatIsTrueAtOnceWinsOverAnEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var w Watermark
	require.ErrorIs(t, w.Wait(ctx, 0, 0), metadata.ErrNotLeaderOrFollower, "the zero value is closed")
	w.set(mark{open: true, offset: 1})
	require.NoError(t, w.Wait(ctx, 0, 1))
	require.ErrorIs(t, w.Wait(ctx, 0, 2), metadata.ErrRequestTimedOut)
}

func BenchmarkWatermarkPassed(b *testing.B) {
	var w Watermark
	b.ReportAllocs()
	offset := int64(0)
	for b.Loop() {
		offset++
		w.set(mark{open: true, epoch: 1, offset: offset})
		if err := w.Wait(b.Context(), 1, offset); err != nil {
			b.Fatal(err)
		}
	}
}
