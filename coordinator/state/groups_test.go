package state

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// A groupLog applies changes of groups to a state.
type groupLog struct {
	t      *testing.T
	state  *State
	offset int64
}

func newGroupLog(t *testing.T) *groupLog {
	defaults, err := metadata.NewBrokerConfig(nil)
	require.NoError(t, err)
	return &groupLog{t: t, state: New("cluster", defaults)}
}

func (l *groupLog) apply(c ChangeGroup) (Result, metadata.Group) {
	l.offset += 10
	r := l.state.Apply(l.offset, c)
	if r.Err == nil {
		require.Equal(l.t, l.offset, r.GroupOffset)
	} else {
		require.Empty(l.t, r.Deltas)
	}
	g, _ := l.state.Image().Group(c.ID)
	return r, g
}

func TestChangesOfAGroupAreCompareAndSet(t *testing.T) {
	l := newGroupLog(t)
	_, g := l.apply(ChangeGroup{ID: "g", Whole: true, Facts: []byte("a")})
	require.Equal(t, metadata.Group{Offset: 10, Whole: []byte("a")}, g)
	for _, presumes := range []int64{0, 9, 11} {
		for _, whole := range []bool{false, true} {
			r, again := l.apply(ChangeGroup{ID: "g", Presumes: presumes, Whole: whole, Facts: []byte("x")})
			require.ErrorIs(t, r.Err, metadata.ErrInvalidUpdateVersion)
			require.Equal(t, g, again)
		}
	}
	r, _ := l.apply(ChangeGroup{ID: "g", Presumes: 9, Whole: true})
	require.ErrorIs(t, r.Err, metadata.ErrInvalidUpdateVersion, "a deletion too")

	_, g = l.apply(ChangeGroup{ID: "g", Presumes: 10, Facts: []byte("b")})
	at := l.offset
	require.Equal(t, metadata.Group{Offset: at, Whole: []byte("a"), Since: [][]byte{[]byte("b")}}, g)
	_, g = l.apply(ChangeGroup{ID: "g", Presumes: at, Whole: true, Facts: []byte("c")})
	require.Equal(t, metadata.Group{Offset: l.offset, Whole: []byte("c")}, g)

	r, g = l.apply(ChangeGroup{ID: "g", Presumes: l.offset, Whole: true})
	require.NoError(t, r.Err)
	require.Zero(t, g, "deleted")
	require.Empty(t, l.state.Image().GroupIDs())
	r, _ = l.apply(ChangeGroup{ID: "g", Presumes: l.offset, Whole: true, Facts: []byte("d")})
	require.ErrorIs(t, r.Err, metadata.ErrInvalidUpdateVersion, "what it presumes is deleted")
}

func TestAGroupBeginsWholeAndStaysBounded(t *testing.T) {
	l := newGroupLog(t)
	big := bytes.Repeat([]byte("x"), metadata.MaxGroupFacts)
	for name, c := range map[string]struct {
		change ChangeGroup
		want   error
	}{
		"a change of nothing":   {ChangeGroup{ID: "g", Facts: []byte("a")}, metadata.ErrGroupIDNotFound},
		"a deletion of nothing": {ChangeGroup{ID: "g", Whole: true}, metadata.ErrGroupIDNotFound},
		"no name":               {ChangeGroup{Whole: true, Facts: []byte("a")}, metadata.ErrInvalidGroupID},
		"a long name":           {ChangeGroup{ID: strings.Repeat("x", metadata.MaxString+1), Whole: true, Facts: []byte("a")}, metadata.ErrInvalidGroupID},
		"too much":              {ChangeGroup{ID: "g", Whole: true, Facts: append(big, 'x')}, metadata.ErrMessageTooLarge},
	} {
		r, _ := l.apply(c.change)
		require.ErrorIs(t, r.Err, c.want, name)
	}
	r, g := l.apply(ChangeGroup{ID: "g", Whole: true, Facts: big})
	require.NoError(t, r.Err)
	r, _ = l.apply(ChangeGroup{ID: "g", Presumes: g.Offset})
	require.ErrorIs(t, r.Err, metadata.ErrInvalidRequest, "a change that says nothing")
	_, g = l.apply(ChangeGroup{ID: "g", Presumes: g.Offset, Facts: big})
	r, _ = l.apply(ChangeGroup{ID: "g", Presumes: g.Offset, Facts: []byte("x")})
	require.ErrorIs(t, r.Err, metadata.ErrMessageTooLarge, "to be made whole")
	r, g = l.apply(ChangeGroup{ID: "g", Presumes: g.Offset, Whole: true, Facts: []byte("x")})
	require.NoError(t, r.Err)
	for range metadata.MaxGroupChanges {
		r, g = l.apply(ChangeGroup{ID: "g", Presumes: g.Offset, Facts: []byte("x")})
		require.NoError(t, r.Err)
	}
	r, _ = l.apply(ChangeGroup{ID: "g", Presumes: g.Offset, Facts: []byte("x")})
	require.ErrorIs(t, r.Err, metadata.ErrMessageTooLarge, "too many changes")
}
