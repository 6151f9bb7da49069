package story

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerdictCountsWhatWasAckedAndNotRead(t *testing.T) {
	l := NewLedger()
	read, lost, unacked, twice, never := l.Next(), l.Next(), l.Next(), l.Next(), l.Next()
	l.Acked(read, 0)
	l.Acked(lost, 0)
	l.Acked(twice, 0)
	l.Refused(never, errors.New("timed out"))
	l.Read(read, 0, 0)
	l.Read(read, 0, 0) // a second reader at the same place
	l.Read(unacked, 0, 1)
	l.Read(twice, 0, 2)
	l.Read(twice, 0, 3)

	v := l.Verdict()
	require.Equal(t, Verdict{Acked: 3, Read: 2, Lost: []string{lost}, Duplicates: 1, Unacked: 1}, v)
	require.False(t, v.OK())
	require.Equal(t, "verdict: acked=3 read=2 lost=1 duplicates=1", v.String())
}

func TestVerdictSeesTwoOrdersAtOneOffset(t *testing.T) {
	l := NewLedger()
	l.Read(l.Next(), 0, 7)
	l.Read(l.Next(), 0, 7)
	require.Equal(t, 1, l.Verdict().Duplicates)
}

func TestFailoverEndsAtTheFirstAckThatTheDeadCannotHaveGiven(t *testing.T) {
	l := NewLedger()
	before := l.Next()
	l.Crashed([]int32{1})
	elsewhere, after, later := l.Next(), l.Next(), l.Next()
	require.False(t, l.Acked(before, 1), "placed before the crash")
	require.False(t, l.Acked(elsewhere, 0), "its partition kept its leader")
	require.True(t, l.Acked(after, 1))
	require.False(t, l.Acked(later, 1), "only the first ack ends the failover")
	require.Greater(t, l.Verdict().Failover, time.Duration(0))
}

func TestWorkVerdictCountsWhatWasAckedAndNeverProcessed(t *testing.T) {
	l := NewLedger()
	done, twice, lost, unacked, never := l.Next(), l.Next(), l.Next(), l.Next(), l.Next()
	for _, id := range []string{done, twice, lost} {
		l.Acked(id, 0)
	}
	l.Refused(never, errors.New("timed out"))
	for _, id := range []string{done, twice, twice, unacked} {
		l.Processed(id)
	}
	v := l.WorkVerdict()
	require.Equal(t, WorkVerdict{Orders: 3, Processed: 2, Twice: 1, Lost: []string{lost}}, v)
	require.False(t, v.OK())
	require.Equal(t, "verdict: orders=3 processed=2 twice=1 lost=1", v.String())
}
