package story

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerdictCountsWhatWasAckedAndNotRead(t *testing.T) {
	l := NewLedger()
	for _, id := range []string{"read", "lost", "unacked", "twice", "never"} {
		l.Placed(id)
	}
	l.Acked("read", 0)
	l.Acked("lost", 0)
	l.Acked("twice", 0)
	l.Refused("never", errors.New("timed out"))
	l.Read("read", 0, 0)
	l.Read("read", 0, 0) // a second reader at the same place
	l.Read("unacked", 0, 1)
	l.Read("twice", 0, 2)
	l.Read("twice", 0, 3)

	v := l.Verdict()
	require.Equal(t, Verdict{Acked: 3, Read: 2, Lost: []string{"lost"}, Duplicates: 1, Unacked: 1}, v)
	require.False(t, v.OK())
	require.Equal(t, "verdict: acked=3 read=2 lost=1 duplicates=1", v.String())
}

func TestVerdictSeesTwoOrdersAtOneOffset(t *testing.T) {
	l := NewLedger()
	l.Placed("a")
	l.Placed("b")
	l.Read("a", 0, 7)
	l.Read("b", 0, 7)
	require.Equal(t, 1, l.Verdict().Duplicates)
}

func TestFailoverEndsAtTheFirstAckThatTheDeadCannotHaveGiven(t *testing.T) {
	l := NewLedger()
	l.Placed("before")
	l.Crashed([]int32{1})
	l.Placed("elsewhere")
	l.Placed("after")
	l.Placed("later")
	require.False(t, l.Acked("before", 1), "placed before the crash")
	require.False(t, l.Acked("elsewhere", 0), "its partition kept its leader")
	require.True(t, l.Acked("after", 1))
	require.False(t, l.Acked("later", 1), "only the first ack ends the failover")
	require.Greater(t, l.Verdict().Failover, time.Duration(0))
}
