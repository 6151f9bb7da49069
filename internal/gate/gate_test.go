package gate

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNilGateIsOpen(t *testing.T) {
	var g *Gate
	require.NoError(t, g.Pass())
	require.False(t, g.Paused())
	require.False(t, g.IsShut())
	require.Nil(t, g.Done())
}

func TestPauseHoldsUntilResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		require.NoError(t, g.Pass())
		g.Pause()
		g.Pause()
		require.True(t, g.Paused())
		passed := make(chan error, 2)
		for range 2 {
			go func() { passed <- g.Pass() }()
		}
		time.Sleep(time.Hour)
		require.Empty(t, passed)
		g.Resume()
		g.Resume()
		require.NoError(t, <-passed)
		require.NoError(t, <-passed)
		require.False(t, g.Paused())
	})
}

func TestShutFailsForEver(t *testing.T) {
	g := New()
	g.Shut()
	g.Shut()
	g.Pause()
	g.Resume()
	require.ErrorIs(t, g.Pass(), ErrShut)
	require.True(t, g.IsShut())
	require.False(t, g.Paused())
	<-g.Done()
}

func TestShutReleasesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		g.Pause()
		passed := make(chan error, 1)
		go func() { passed <- g.Pass() }()
		synctest.Wait()
		g.Shut()
		require.ErrorIs(t, <-passed, ErrShut)
	})
}

// One who passes may find the gate paused again at once; nobody is left behind.
func TestManyPassWhilePausedAndResumed(t *testing.T) {
	g := New()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for g.Pass() == nil {
			}
		})
	}
	for range 1000 {
		g.Pause()
		g.Resume()
	}
	g.Pause()
	g.Shut()
	wg.Wait()
}

func BenchmarkPass(b *testing.B) {
	g := New()
	for b.Loop() {
		if g.Pass() != nil {
			b.Fatal("shut")
		}
	}
}
