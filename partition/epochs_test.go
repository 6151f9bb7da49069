package partition

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAssignEpoch(t *testing.T) {
	e := epochStarts{{1, 0}, {3, 10}, {4, 20}}
	for name, c := range map[string]struct {
		epoch  int32
		offset int64
		want   epochStarts
	}{
		"the next one":                    {5, 30, epochStarts{{1, 0}, {3, 10}, {4, 20}, {5, 30}}},
		"the latest again":                {4, 25, e},
		"the latest, earlier":             {4, 15, epochStarts{{1, 0}, {3, 10}, {4, 15}}},
		"one that takes an empty's place": {6, 20, epochStarts{{1, 0}, {3, 10}, {6, 20}}},
		"one that overtakes":              {6, 5, epochStarts{{1, 0}, {6, 5}}},
		"an older one":                    {2, 30, epochStarts{{1, 0}, {2, 30}}},
		"none":                            {-1, 30, e},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, e.assign(c.epoch, c.offset))
			require.Equal(t, epochStarts{{1, 0}, {3, 10}, {4, 20}}, e, "a published list stays as it is")
		})
	}
}

func TestTruncateEpochs(t *testing.T) {
	e := epochStarts{{1, 0}, {3, 10}, {4, 20}}
	for offset, want := range map[int64]epochStarts{25: e, 21: e, 20: e[:2], 11: e[:2], 10: e[:1], 1: e[:1], 0: {}} {
		require.Equal(t, want, e.truncateFromEnd(offset), offset)
	}
	for offset, want := range map[int64]epochStarts{
		0: e, 5: {{1, 5}, {3, 10}, {4, 20}}, 10: {{3, 10}, {4, 20}}, 15: {{3, 15}, {4, 20}}, 20: {{4, 20}}, 99: {{4, 99}},
	} {
		require.Equal(t, want, e.truncateFromStart(offset), offset)
	}
	require.Empty(t, epochStarts(nil).truncateFromStart(7))
	require.Equal(t, epochStarts{{2, 9}}, epochStarts{{2, 9}}.truncateFromStart(5))
}

func TestEndOffsetForEpoch(t *testing.T) {
	e := epochStarts{{2, 5}, {3, 10}, {6, 20}}
	for epoch, want := range map[int32]EpochEnd{
		-1: {-1, -1},
		0:  {0, 5}, // below the first: it cannot have anything at or above 5
		1:  {1, 5},
		2:  {2, 10},
		3:  {3, 20},
		4:  {3, 20}, // the largest below
		5:  {3, 20},
		6:  {6, 33},
		7:  {-1, -1},

		math.MaxInt32: {-1, -1},
	} {
		require.Equal(t, want, e.endOffsetFor(epoch, 33), epoch)
	}
	require.Equal(t, UndefinedEpochEnd, epochStarts(nil).endOffsetFor(0, 0))
}

func TestSequencesAfterTheLargest(t *testing.T) {
	require.EqualValues(t, 0, addSequence(math.MaxInt32, 1))
	require.EqualValues(t, math.MaxInt32, addSequence(math.MaxInt32-1, 1))
	require.EqualValues(t, 4, addSequence(math.MaxInt32-5, 10))
}

func TestIndexLookup(t *testing.T) {
	var x index
	require.Zero(t, x.floor(5))
	_, ok := x.ceiling(0)
	require.False(t, ok)
	for i := range int32(100) {
		x.add(indexEntry{10 * i, 1000 * i})
	}
	for offset, want := range map[int64]int64{0: 0, 9: 0, 10: 1000, 11: 1000, 989: 98000, 990: 99000, 1 << 40: 99000, -1: 0} {
		require.Equal(t, want, x.floor(offset), offset)
	}
	for offset, want := range map[int64]int64{0: 0, 1: 1000, 10: 1000, 990: 99000} {
		got, ok := x.ceiling(offset)
		require.True(t, ok)
		require.Equal(t, want, got, offset)
	}
	_, ok = x.ceiling(991)
	require.False(t, ok)
	old := x.load()
	x.truncate(50_000)
	x.add(indexEntry{7777, 50_001})
	require.Equal(t, indexEntry{500, 50_000}, old[50], "who holds the old list keeps it")
	require.Len(t, x.load(), 51)
}

func FuzzEpochCheckpoint(f *testing.F) {
	f.Add([]byte("0\n2\n1 0\n5 10\n"))
	f.Add([]byte("0\n0\n"))
	f.Add([]byte("0\n1\n-1 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ok := decodeEpochs(b)
		if !ok {
			return
		}
		again, ok := decodeEpochs(encodeEpochs(e))
		require.True(t, ok)
		require.Equal(t, e, again)
	})
}
