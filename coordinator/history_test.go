package coordinator

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// imageAt is an image whose newest change has that offset.
func imageAt(offset int64) *metadata.Image {
	return metadata.NewImage("cluster").Apply(offset, []metadata.Delta{metadata.ProducerIDsAllocated{Next: offset}})
}

func TestHistoryReadsFromAnOffset(t *testing.T) {
	h := newHistory(imageAt(0))
	news := h.read(1, 100).news
	for _, offset := range []int64{3, 4, 9} { // gaps are legal
		h.publish(imageAt(offset), 1, offset, fmt.Appendf(nil, "<%d>", offset))
	}
	<-news
	for from, want := range map[int64]string{0: "<3><4><9>", 3: "<3><4><9>", 4: "<4><9>", 5: "<9>", 9: "<9>", 10: ""} {
		r := h.read(from, 100)
		require.False(t, r.behind)
		require.Equal(t, want, string(r.batches), "from %d", from)
		require.EqualValues(t, 10, r.end)
	}
	require.Equal(t, "<3>", string(h.read(0, 0).batches), "one batch at least")
	require.Equal(t, "<3><4>", string(h.read(0, 8).batches), "whole batches only")
}

func TestHistoryForgetsTheOldest(t *testing.T) {
	h := newHistory(imageAt(0))
	for offset := int64(1); offset <= historyEntries+10; offset++ {
		h.publish(imageAt(offset), 1, offset, []byte("x"))
	}
	require.True(t, h.read(10, 1).behind)
	require.False(t, h.read(11, 1).behind)
	require.Len(t, h.read(11, 1<<20).batches, historyEntries)

	big := newHistory(imageAt(0))
	for offset := int64(1); offset <= 10; offset++ {
		big.publish(imageAt(offset), 1, offset, make([]byte, historyBytes/4))
	}
	require.True(t, big.read(6, 1).behind)
	require.False(t, big.read(7, 1).behind)
}

func TestHistoryStartsOverFromASnapshot(t *testing.T) {
	h := newHistory(imageAt(0))
	h.publish(imageAt(5), 1, 5, []byte("<5>"))
	h.reset(imageAt(100), 0)
	require.True(t, h.read(100, 1).behind)
	require.False(t, h.read(101, 1).behind)

	s := h.snapshot()
	require.EqualValues(t, 101, s.end)
	im, err := metadata.DecodeImage(s.bytes)
	require.NoError(t, err)
	require.EqualValues(t, 100, im.Offset())
	h.publish(imageAt(105), 2, 105, []byte("<105>"))
	require.Equal(t, s, h.snapshot(), "the entries lead on from the one that was made already")
	got, ok := h.snapshotAt(s.end, s.term)
	require.True(t, ok)
	require.Equal(t, s, got)
	_, ok = h.snapshotAt(s.end, s.term+1)
	require.False(t, ok)
	require.Equal(t, "<105>", string(h.read(s.end, 100).batches))
}
