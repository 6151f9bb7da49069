package slab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/slab"
)

func TestSpansOfOneSlabJoinWhereTheyTouch(t *testing.T) {
	s := slab.New(8)
	copy(s.Memory(), "abcdef")
	a, b, c := s.Span(0, 2), s.Span(2, 5), s.Span(5, 6)
	joined, ok := a.Join(b)
	require.True(t, ok)
	require.Equal(t, "abcde", string(joined.Bytes()))
	require.True(t, joined.Shared())
	_, ok = a.Join(c)
	require.False(t, ok, "there is something between")
	_, ok = b.Join(a)
	require.False(t, ok, "the wrong way round")
	other := slab.Of([]byte("abcdef"))
	_, ok = a.Join(other.Span(2, 5))
	require.False(t, ok, "another slab")
	cut := joined.Cut(1, 5)
	require.Equal(t, "bcde", string(cut.Bytes()))
	joined, ok = cut.Join(c)
	require.True(t, ok)
	require.Equal(t, "bcdef", string(joined.Bytes()))
}

func TestBorrowedBytesAreNeverTakenForShared(t *testing.T) {
	b := []byte("abcd")
	first, second := slab.Borrow(b[:2]), slab.Borrow(b[2:])
	require.False(t, first.Shared())
	require.False(t, first.Cut(0, 1).Shared())
	_, ok := first.Join(second)
	require.False(t, ok)
	_, ok = slab.Span{}.Join(slab.Span{})
	require.False(t, ok)
}

// An append to what a span shows must not write into what follows it.
func TestASpanHasNoRoomBehindIt(t *testing.T) {
	s := slab.Of([]byte("abcd"))
	_ = append(s.Span(0, 2).Bytes(), 'X')
	b := []byte("abcd")
	_ = append(slab.Borrow(b[:2]).Bytes(), 'X')
	require.Equal(t, "abcd", string(s.Span(0, 4).Bytes()))
	require.Equal(t, "abcd", string(b))
}

func TestACopyIsFull(t *testing.T) {
	for n := range 100 {
		m := slab.Of(make([]byte, n)).Memory()
		require.Equal(t, [2]int{n, n}, [2]int{len(m), cap(m)})
	}
}

func TestSpansAddUp(t *testing.T) {
	s := slab.Of([]byte("abcd"))
	spans := []slab.Span{s.Span(0, 1), slab.Borrow([]byte("xy")), s.Span(2, 4), {}}
	require.Equal(t, 5, slab.Size(spans))
	require.Equal(t, ">axycd", string(slab.AppendTo([]byte(">"), spans)))
}
