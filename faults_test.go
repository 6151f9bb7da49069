package brokersim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
)

func TestFaultsHealOnceAndTellSo(t *testing.T) {
	log := event.NewLog(64)
	fs := &faults{events: log}
	healed := 0
	f := fs.inject("broker-2", "broker 2 isolated", func() { healed++ })
	require.Equal(t, "broker 2 isolated", fs.states()[0].What)
	require.NoError(t, f.Err())
	f.Heal()
	f.Heal()
	fs.healAll()
	require.Equal(t, 1, healed)
	require.Empty(t, fs.states())
	events := log.Newest(9)
	require.Len(t, events, 2)
	require.Equal(t, event.FaultHealed, events[1].Kind)
	require.Equal(t, events[0].Seq, events[1].Cause)
}

func TestHealAllGoesBackwards(t *testing.T) {
	fs := &faults{events: event.Discard}
	var order []int
	for i := range 3 {
		fs.inject("", "", func() { order = append(order, i) })
	}
	fs.healAll()
	require.Equal(t, []int{2, 1, 0}, order)
}

func TestSpentFaultsAreNotInForce(t *testing.T) {
	fs := &faults{events: event.Discard}
	spent := false
	f := fs.inject("", "the next request fails", func() {}).until(func() bool { return spent })
	require.Len(t, fs.states(), 1)
	spent = true
	require.Empty(t, fs.states())
	f.Heal()
}

func TestImpossibleFaultDoesNothing(t *testing.T) {
	log := event.NewLog(64)
	fs := &faults{events: log}
	f := fs.impossible(ErrClosed)
	require.ErrorIs(t, f.Err(), ErrClosed)
	f.Heal()
	require.Zero(t, log.Last())
	require.Empty(t, fs.states())
}
