package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

func TestASearchByTimeEndsAtTheHighWatermark(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	r.Apply(led(4, 1, 2), time.Now())
	began := time.Now().Truncate(time.Millisecond)
	for _, age := range []time.Duration{3, 2, 1} {
		_, err := r.Append(t.Context(), newBatch(began.Add(-age*time.Second), nil, "x"), acksAll, time.Now())
		require.NoError(t, err)
	}
	since := func(age time.Duration) int64 { return began.Add(-age * time.Second).UnixMilli() }
	require.NoError(t, r.Read(nil, followerRead(1, 2, 4, 4), time.Now()).Err) // 2 is the high watermark now

	got, err := r.OffsetForTime(4, since(2))
	require.NoError(t, err)
	require.Equal(t, partition.TimedOffset{Offset: 1, Timestamp: since(2), LeaderEpoch: 4}, got)
	got, err = r.OffsetForTime(4, since(1))
	require.NoError(t, err)
	require.Equal(t, partition.NoTimedOffset, got, "not committed yet")
	got, err = r.OffsetOfMaxTime(4)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Offset)
	_, err = r.OffsetForTime(3, 0)
	require.ErrorIs(t, err, metadata.ErrFencedLeaderEpoch)

	// A new leader may know less of what is committed than the one before (KIP-207).
	r.Apply(led(5, 1, 2), time.Now())
	got, err = r.OffsetForTime(5, since(2))
	require.NoError(t, err, "this one is committed for certain")
	require.EqualValues(t, 1, got.Offset)
	_, err = r.OffsetForTime(5, since(1))
	require.ErrorIs(t, err, metadata.ErrOffsetNotAvailable)
	_, err = r.OffsetOfMaxTime(5)
	require.ErrorIs(t, err, metadata.ErrOffsetNotAvailable)
}
