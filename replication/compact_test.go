package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// Whoever remembers how far a log is compacted hears of a cut before anything can
// be appended in its place.
func TestCutsAreToldOf(t *testing.T) {
	for name, c := range map[string]struct {
		answer FetchedPartition
		to     int64
	}{
		"truncate": {FetchedPartition{Diverging: &partition.EpochEnd{Epoch: 4, Offset: 1}}, 1},
		"reset":    {FetchedPartition{Err: metadata.ErrOffsetOutOfRange, LogStartOffset: 50}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			r := standalone(t, vfs.NewMem(1), 0)
			var cuts []int64
			r.cfg.Cut = func(to int64) error {
				require.False(t, r.tryTake(), "nobody else changes the log now")
				require.Equal(t, to, r.cfg.Log.LogEndOffset())
				cuts = append(cuts, to)
				return nil
			}
			r.Apply(led(4, 1, 2), time.Now())
			r.mustAppend(t, 1, "a")
			r.mustAppend(t, 1, "b")
			require.Empty(t, cuts)
			state := led(5, 1)
			state.Leader = 1
			r.Apply(state, time.Now())
			pos, ok := r.position(1)
			require.True(t, ok)
			if name == "reset" {
				r.cfg.Log.Truncate(2)
			}
			require.NoError(t, r.copied(t.Context(), pos, c.answer))
			require.Equal(t, []int64{c.to}, cuts)
		})
	}
}

// A replica compacts what it knows to be committed, whatever its role, and lets others
// have the log meanwhile.
func TestAReplicaCompactsWhatIsCommitted(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	r.Apply(led(4, 1, 2), time.Now())
	log := r.cfg.Log
	for range 4 {
		log.SetConfig(partition.Config{SegmentBytes: 1 << 10})
		r.mustAppend(t, 1, string(make([]byte, 900)))
	}
	require.Zero(t, r.Dirtiness(time.Now(), 0).Dirt, "nothing is committed")
	require.NoError(t, r.Read(nil, followerRead(1, 3, 4, 4), time.Now()).Err)
	require.EqualValues(t, 3, r.HighWatermark())
	require.EqualValues(t, 3, r.Dirtiness(time.Now(), 0).End)

	require.NoError(t, r.take(t.Context()))
	done, err := r.Compact(partition.NewCleaner(1<<10), time.Now(), 0, nil)
	r.release()
	require.NoError(t, err)
	require.Equal(t, [2]int64{3, 0}, [2]int64{done.RecordsBefore, done.RecordsAfter}, "they have no keys")
	require.EqualValues(t, 3, done.To)
}
