package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// Wherever an answer is lent, and wherever not, it says the same.
func TestAnyPartMayBeLent(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	lent := 0
	for range 500 {
		resp := fetched(rng)
		resp.Version = int16(rng.IntN(int(resp.MaxVersion()) + 1))
		l := new(letter)
		require.NoError(t, l.write(Header{Key: 1, Version: resp.Version}, resp, nil))
		frame := slab.AppendTo(nil, l.pieces)
		var places []int
		at := 0
		for _, piece := range l.pieces {
			if at += piece.Len(); rng.IntN(4) > 0 {
				places = append(places, at) // most fields as they are
			}
			for room := piece.Len(); room > 0 && rng.IntN(6) == 0; {
				places = append(places, at-rng.IntN(room))
			}
		}
		for i := range places {
			places[i] = min(max(places[i], 0), len(frame))
		}
		for _, spans := range asWhole(t, &kmsg.FetchRequest{Version: resp.Version}, frame, mixed(frame, places...)) {
			if spans[0].Shared() {
				lent++
			}
		}
	}
	require.Greater(t, lent, 100)
}

// What ends as the length of what is lent need not be its length.
func TestWhatLooksLikeALength(t *testing.T) {
	fetch := func(version int16, n int, topic string) (frame []byte, records int) {
		resp := partitions(2)
		resp.Version = version
		resp.Topics[0].Topic = topic
		resp.Topics[0].Partitions[0].RecordBatches = sharedRecords(n).Bytes()
		resp.Topics[1].Partitions[0].RecordBatches = []byte("x")
		require.NoError(t, new(letter).write(Header{Key: 1, Version: version}, resp, nil))
		frame = AppendResponse(nil, 0, resp)
		return frame, bytes.Index(frame, resp.Topics[0].Partitions[0].RecordBatches)
	}
	req := &kmsg.FetchRequest{Version: 12}

	frame, at := fetch(12, 1_000_000, "orders")
	for _, enc := range []int{1_000_001 >> 7, 1_000_001 >> 14} { // its length without the first bytes
		n := enc - 1
		require.Equal(t, binary.AppendUvarint(nil, uint64(n)+1), frame[at-len(binary.AppendUvarint(nil, uint64(n)+1)):at])
		records := asWhole(t, req, frame, mixed(frame, at, at+n))
		require.False(t, records[0][0].Shared())
	}
	records := asWhole(t, req, frame, mixed(frame, at, at+1_000_000))
	require.True(t, records[0][0].Shared())
	require.False(t, records[1][0].Shared())
	require.Equal(t, "x", string(records[1][0].Bytes()))

	for _, version := range []int16{4, 12} {
		frame, at = fetch(version, 300, "a topic with a longer name")
		req := &kmsg.FetchRequest{Version: version}
		name := bytes.Index(frame, []byte("a topic"))
		for i, places := range [][]int{
			{at, at + 300},
			{at, at + 299},                  // not all
			{at - 1, at + 300},              // with a part of the length
			{at, at + 301},                  // with what follows
			{at, at + 100, at + 100},        // in two parts
			{at, at + 100, at + 101},        // and not all of it
			{at + 1, at + 300},              // not the first
			{name, name + 26},               // no records
			{name, name + 26, at, at + 300}, // and records too
			{8, len(frame)},
			{3, 6, 7, len(frame)},
			{0, len(frame)},
			{5, 6, 7, 9},
		} {
			records := asWhole(t, req, frame, mixed(frame, places...))
			lent := i == 0 || i == 8 && version < 12 // later, the name is a compact string, and looks like records
			require.Equal(t, lent, records[0][0].Shared(), "version %d, %d", version, i)
		}
	}
}
