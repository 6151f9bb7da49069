package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

func TestUntilWaitsForThePublishedImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := metadata.NewImage("c")
		s := newImages(empty)
		reached := func(im *metadata.Image) bool { return im.Offset() >= 2 }
		done := make(chan struct{})
		result := make(chan error)
		go func() { result <- s.until(t.Context(), done, reached) }()

		s.publish(empty.Apply(1, nil))
		s.learned.Store(empty.Apply(2, nil)) // learned is not published
		synctest.Wait()
		require.Empty(t, result)
		s.publish(empty.Apply(2, nil))
		require.NoError(t, <-result)
		require.NoError(t, s.until(t.Context(), done, reached), "true already")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		never := func(*metadata.Image) bool { return false }
		require.ErrorIs(t, s.until(ctx, done, never), context.DeadlineExceeded)
		close(done)
		require.ErrorIs(t, s.until(t.Context(), done, never), errClosed)
	})
}
