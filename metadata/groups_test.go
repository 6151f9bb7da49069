package metadata

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroupsKeepWhatMakesThem(t *testing.T) {
	im := NewImage("c").Apply(3, []Delta{GroupChanged{"g", true, []byte("a")}, GroupChanged{"other", true, []byte("z")}})
	old := im.Apply(5, []Delta{GroupChanged{"g", false, []byte("b")}})
	one := old.Apply(6, []Delta{GroupChanged{"g", false, []byte("c")}})
	two := old.Apply(6, []Delta{GroupChanged{"g", false, []byte("d")}}) // another future of the same image
	for image, since := range map[*Image][][]byte{
		im: nil, old: {[]byte("b")}, one: {[]byte("b"), []byte("c")}, two: {[]byte("b"), []byte("d")},
	} {
		g, ok := image.Group("g")
		require.True(t, ok)
		require.Equal(t, Group{Offset: image.Offset(), Whole: []byte("a"), Since: since}, g)
		require.Equal(t, 1+len(since), g.Size())
	}
	whole := one.Apply(9, []Delta{GroupChanged{"g", true, []byte("new")}})
	g, _ := whole.Group("g")
	require.Equal(t, Group{Offset: 9, Whole: []byte("new")}, g)
	other, _ := whole.Group("other")
	require.EqualValues(t, 3, other.Offset)

	gone := whole.Apply(10, []Delta{GroupChanged{"g", true, nil}, GroupChanged{"g", false, []byte("late")}, GroupChanged{"none", true, nil}})
	require.Equal(t, []string{"other"}, gone.GroupIDs())
	require.Equal(t, []string{"g", "other"}, whole.GroupIDs())
	require.Equal(t, NewImage("c").Apply(11, nil).AppendTo(nil),
		gone.Apply(11, []Delta{GroupChanged{"other", true, nil}}).AppendTo(nil), "no groups, no bytes")
}

func TestMalformedGroupsAreAnAnswer(t *testing.T) {
	image := func(groups func(e *Encoder)) []byte {
		e := Encoder{Buf: NewImage("c").AppendTo(nil)}
		groups(&e)
		return e.Buf
	}
	group := func(e *Encoder, id, whole string, since ...string) {
		e.String(id)
		e.Int(1)
		e.String(whole)
		e.Len(len(since))
		for _, s := range since {
			e.String(s)
		}
	}
	for says, b := range map[string][]byte{
		"no groups":    image(func(e *Encoder) { e.Len(0) }),
		"out of order": image(func(e *Encoder) { e.Len(2); group(e, "b", "x"); group(e, "a", "x") }),
		"says nothing": image(func(e *Encoder) { e.Len(1); group(e, "b", "") }),
		"4194305 bytes": image(func(e *Encoder) {
			e.Len(1)
			group(e, "b", "x", string(make([]byte, MaxGroupFacts+1)))
		}),
	} {
		_, err := DecodeImage(b)
		require.ErrorIs(t, err, ErrMalformed)
		require.ErrorContains(t, err, says)
	}
	_, err := DecodeImage(image(func(e *Encoder) { e.Len(1); group(e, "b", "x", "") }))
	require.ErrorContains(t, err, "says nothing")
}

// The numbers are Kafka's: Utils.abs("...".hashCode()) % 50.
func TestGroupPartition(t *testing.T) {
	for group, want := range map[string]int32{
		"": 0, "a": 97 % 50, "ab": (97*31 + 98) % 50, "polygenelubricants": 0, // the smallest of all hashes
		"é": 233 % 50, "\U0001f600": (0xd83d*31 + 0xde00) % 50,
	} {
		require.Equal(t, want, GroupPartition(group, 50), group)
	}
	require.Zero(t, GroupPartition("a", 0))
	seen := map[int32]bool{}
	for i := range 1000 {
		p := GroupPartition(fmt.Sprintf("group-%d-of-many", i), 50)
		require.True(t, 0 <= p && p < 50)
		seen[p] = true
	}
	require.Len(t, seen, 50)
}

// What one change costs while there are many groups.
func BenchmarkGroupChanged(b *testing.B) {
	for _, groups := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			im := NewImage("c")
			for i := range groups {
				im = im.Apply(1, []Delta{GroupChanged{fmt.Sprint("group-", i), true, []byte("facts")}})
			}
			b.ReportAllocs()
			for b.Loop() {
				im.Apply(2, []Delta{GroupChanged{"group-1", true, []byte("facts")}})
			}
		})
	}
}
