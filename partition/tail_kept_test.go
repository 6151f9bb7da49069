package partition_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

func sized(n int) []byte {
	return batchtest.Spec{Records: []batchtest.Record{{Value: bytes.Repeat([]byte("x"), n)}}}.Bytes()
}

// A leader's batch, what it lends to its followers, and what their disks and its own keep,
// are the same bytes in memory: nobody has copied them.
func TestOneCopyForAllReplicas(t *testing.T) {
	leader, follower := open(t, vfs.NewMem(1), partition.Config{}), open(t, vfs.NewMem(2), partition.Config{})
	for range 3 {
		_, err := leader.AppendAsLeader(sized(40_000), 1, now)
		require.NoError(t, err)
	}
	spans, ok := leader.Lend(nil, 0, 3, 1<<20, true)
	require.True(t, ok)
	require.Equal(t, 3, len(spans))
	again, ok := leader.Lend(nil, 1, 3, 1<<20, true)
	require.True(t, ok)
	require.Same(t, &spans[1].Bytes()[0], &again[0].Bytes()[0])
	for _, s := range spans {
		_, err := follower.AppendSpanAsFollower(s, 1)
		require.NoError(t, err)
	}
	a, err := leader.Read(nil, 0, 3, 1<<20, true)
	require.NoError(t, err)
	b, err := follower.Read(nil, 0, 3, 1<<20, true)
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b))
}

// What rots on one disk does not rot on the others, or in the hands of who was lent it.
func TestRotStaysOnItsDisk(t *testing.T) {
	disks := []*vfs.Mem{vfs.NewMem(1), vfs.NewMem(2)}
	leader, follower := open(t, disks[0], partition.Config{}), open(t, disks[1], partition.Config{})
	_, err := leader.AppendAsLeader(sized(40_000), 1, now)
	require.NoError(t, err)
	spans, ok := leader.Lend(nil, 0, 1, 1<<20, true)
	require.True(t, ok)
	_, err = follower.AppendSpanAsFollower(spans[0], 1)
	require.NoError(t, err)
	want := string(spans[0].Bytes())
	for i, log := range []*partition.Log{leader, follower} {
		f, err := disks[i].Open(dir + "/00000000000000000000.log")
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteAt([]byte{0xff}, 5000)
		require.NoError(t, err)
		require.Equal(t, want, string(spans[0].Bytes()))
		rest(log)
		_, err = log.Read(nil, 0, 1, 1<<20, true)
		damage := new(partition.CorruptError)
		require.ErrorAs(t, err, &damage)
		if i == 0 {
			got, err := follower.Read(nil, 0, 1, 1<<20, true)
			require.NoError(t, err)
			require.Equal(t, want, string(got))
		}
	}
}

// What is small, or lies in files, is not lent: it has to be read.
func TestOnlyWhatIsKeptIsLent(t *testing.T) {
	onDisk, err := vfs.NewOS(t.TempDir())
	require.NoError(t, err)
	files := open(t, onDisk, partition.Config{})
	_, err = files.AppendAsLeader(sized(20_000), 1, now)
	require.NoError(t, err)
	_, ok := files.Lend(nil, 0, 1, 1<<20, true)
	require.False(t, ok)

	l := open(t, vfs.NewMem(1), partition.Config{})
	for _, size := range []int{10, 20_000, 30_000, 10, 20_000} {
		_, err := l.AppendAsLeader(sized(size), 1, now)
		require.NoError(t, err)
	}
	_, ok = l.Lend(nil, 0, 5, 1<<20, true)
	require.False(t, ok, "the first of it is small")
	spans, ok := l.Lend(nil, 1, 5, 1<<20, true)
	require.True(t, ok)
	require.Equal(t, 2, len(spans), "up to what is not kept")
	spans, ok = l.Lend(nil, 2, 5, 100, false)
	require.True(t, ok)
	require.Zero(t, len(spans), "it does not fit")
	spans, ok = l.Lend(spans, 2, 5, 100, true)
	require.True(t, ok)
	require.Equal(t, 1, len(spans), "whatever its size")
	_, ok = l.Lend(nil, 6, 7, 100, true)
	require.False(t, ok, "behind the end: a reason to fail")
	rest(l)
	_, ok = l.Lend(nil, 1, 5, 1<<20, true)
	require.False(t, ok, "it is only in the files")
	require.EqualValues(t, 5, l.LogEndOffset())
	require.NotZero(t, slab.Size(spans))
}

// Where a log is busy its smaller batches lie behind each other, and are lent as one.
func TestSmallerBatchesShareASlab(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	for range 40 {
		_, err := l.AppendAsLeader(sized(5_000), 1, now)
		require.NoError(t, err)
	}
	want, err := l.Read(nil, 0, 40, 1<<20, true)
	require.NoError(t, err)
	spans, ok := l.Lend(nil, 0, 40, 1<<20, true)
	require.True(t, ok)
	require.Equal(t, 5, len(spans), "the first by itself, then thirteen to a slab of 64 KiB")
	require.True(t, bytes.Equal(want, slab.AppendTo(nil, spans)))
	again, ok := l.Lend(nil, 3, 40, 12_000, true)
	require.True(t, ok)
	require.Equal(t, 1, len(again))
	require.Same(t, &spans[1].Bytes()[2*len(spans[0].Bytes())], &again[0].Bytes()[0])
}

// What is small lies in the slab of the larger ones before it, where there is room, and counts
// for what the tail holds.
func TestAMixedTailIsBounded(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	batches := slices.Repeat([][]byte{sized(4_100)}, 14)
	batches = append(batches, sized(3_900)) // it still fits into 64 KiB
	for range 2_500 {
		for _, batch := range batches {
			_, err := l.AppendAsLeader(batch, 1, now)
			require.NoError(t, err)
		}
	}
	end := l.LogEndOffset()
	_, ok := l.Lend(nil, end-1, end, 1<<20, true)
	require.True(t, ok, "the newest is there")
	for back := int64(2_600); back < 6_000; back++ { // 10 MiB and more
		_, ok := l.Lend(nil, end-back, end, 1<<20, true)
		require.False(t, ok, "%d batches are still held", back)
	}
}
