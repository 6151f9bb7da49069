package partition_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// A witness has seen a log grow: it keeps every state of its files, and knows what
// is true.
type witness struct {
	cfg     partition.Config
	now     *vfs.Mem            // the files as they are
	older   map[string][][]byte // what each file was before, newest last
	batches [][]byte
	epochs  []partition.EpochStart
	known   map[int64]string
	point   int64
	times   []string
}

// grown is a log of several segments, epochs and producers, stopped in good order
// once and then written to until its process crashed.
func grown(t testing.TB) *witness {
	w := &witness{
		cfg:   partition.Config{SegmentBytes: 3 * one, IndexIntervalBytes: 1},
		now:   vfs.NewMem(0),
		older: map[string][][]byte{},
	}
	l := open(t, w.now, w.cfg)
	for i := range 14 {
		s := batchtest.Spec{LeaderEpoch: int32(i / 4), BaseOffset: int64(i)}
		s.Records = []batchtest.Record{{Value: []byte("a"), Timestamp: batchtest.Timestamp + int64(i*3%7)}}
		if i%2 == 0 {
			s.Producer = &batchtest.Producer{ID: int64(i % 4), Sequence: int32(i / 4)}
		}
		w.batches = append(w.batches, s.Bytes())
		_, err := l.AppendAsLeader(s.Bytes(), int32(i/4), now)
		require.NoError(t, err)
		if i == 9 {
			require.NoError(t, l.Checkpoint(now))
		}
		require.NoError(t, l.Sync())
		w.look(t)
	}
	w.epochs, w.known, w.point, w.times = l.Epochs(), partition.ProducerStates(l), l.RecoveryPoint(), times(t, l)
	require.NoError(t, l.Close())
	return w
}

// look keeps a copy of the files that have changed.
func (w *witness) look(t testing.TB) {
	names, err := w.now.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		b, err := vfs.ReadFile(w.now, dir+"/"+name)
		require.NoError(t, err)
		if n := len(w.older[name]); n == 0 || string(w.older[name][n-1]) != string(b) {
			w.older[name] = append(w.older[name], b)
		}
	}
}

// opens opens the files after a change of one of them, and checks that the log is
// what it was, or says that it is damaged, and serves nothing that is wrong.
func (w *witness) opens(t testing.TB, name, what string, change func(disk vfs.FS)) {
	disk := cloneDir(t, w.now, func(string) bool { return true })
	change(disk)
	l, found, err := partition.Open(disk, dir, w.cfg)
	require.NoError(t, err, "%s %s", name, what)
	defer l.Close()
	end, whole := l.LogEndOffset(), l.LogEndOffset() == int64(len(w.batches))
	isLog := strings.HasSuffix(name, ".log")
	if !isLog {
		require.True(t, whole && len(found.Corrupt) == 0 || strings.HasSuffix(name, ".snapshot") && len(found.Corrupt) > 0, "%s %s: %v", name, what, found)
	}
	require.True(t, end >= w.point || len(found.Corrupt) > 0, "%s %s: the log ends at %d", name, what, end)
	for offset := l.LogStartOffset(); offset < end; offset++ {
		b, err := l.Read(nil, offset, end, 1, true)
		if err != nil {
			require.ErrorIs(t, err, metadata.ErrCorruptMessage)
			require.True(t, isLog, "%s %s: %v", name, what, err)
			continue
		}
		require.Equal(t, w.batches[offset][16:], b[16:], "%s %s: offset %d", name, what, offset)
	}
	if whole && len(found.Corrupt) == 0 && !isLog {
		require.Equal(t, w.epochs, l.Epochs(), "%s %s", name, what)
		require.Equal(t, w.known, partition.ProducerStates(l), "%s %s", name, what)
		require.Equal(t, w.times, times(t, l), "%s %s", name, what)
	}
	require.NoError(t, l.Close())
	again, second, err := partition.Open(disk, dir, w.cfg)
	require.NoError(t, err)
	defer again.Close()
	require.Empty(t, second.Corrupt, "%s %s: it is said once", name, what)
	require.Equal(t, end, again.LogEndOffset())
}

func TestDamageToAnyFile(t *testing.T) {
	w := grown(t)
	require.EqualValues(t, 12, w.point)
	kinds := map[string]int{}
	for name := range w.older {
		kinds[name[strings.IndexByte(name, '.')+1:]]++
		if _, err := vfs.ReadFile(w.now, dir+"/"+name); err != nil {
			continue // removed since
		}
		w.opens(t, name, "missing", func(disk vfs.FS) { require.NoError(t, disk.Remove(dir+"/"+name)) })
		w.opens(t, name, "empty", func(disk vfs.FS) { edit(t, disk, dir+"/"+name, func([]byte) []byte { return nil }) })
		for i, old := range w.older[name] {
			w.opens(t, name, fmt.Sprintf("as it was %d times ago", len(w.older[name])-1-i), func(disk vfs.FS) {
				edit(t, disk, dir+"/"+name, func([]byte) []byte { return old })
			})
		}
		b := w.older[name][len(w.older[name])-1]
		for at := range b {
			w.opens(t, name, fmt.Sprintf("cut off at %d", at), func(disk vfs.FS) {
				edit(t, disk, dir+"/"+name, func(b []byte) []byte { return b[:at] })
			})
			w.opens(t, name, fmt.Sprintf("with a flipped bit at %d", at), func(disk vfs.FS) {
				edit(t, disk, dir+"/"+name, func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
			})
		}
		w.opens(t, name, "with garbage behind", func(disk vfs.FS) {
			edit(t, disk, dir+"/"+name, func(b []byte) []byte { return append(b, "garbage"...) })
		})
	}
	require.Len(t, kinds, 6, "%v", kinds) // log, index, timeindex, milestones, snapshot, and the epochs
}

// Snapshots come back that a truncation had removed: whoever puts them there hears
// of damage, or that nothing is wrong.
func TestSnapshotsOfAnotherHistory(t *testing.T) {
	cfg := partition.Config{SegmentBytes: 3 * one, IndexIntervalBytes: 1}
	for _, to := range []int64{2, 5, 7, 8} {
		disk := vfs.NewMem(0)
		l := open(t, disk, cfg)
		for range 8 {
			sendAs(t, l, 1, int32(l.LogEndOffset()))
		}
		require.NoError(t, l.Checkpoint(now))
		before := cloneDir(t, disk, func(name string) bool { return strings.HasSuffix(name, ".snapshot") })
		_, err := l.Truncate(to)
		require.NoError(t, err)
		for range 12 - to {
			appendTo(t, l, 9, "b")
		}
		want, epochs := values(t, l, 0), l.Epochs()
		states := partition.ProducerStates(l)
		require.NoError(t, l.Close())
		names, err := before.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			b, err := vfs.ReadFile(before, dir+"/"+name)
			require.NoError(t, err)
			disk := cloneDir(t, disk, func(string) bool { return true })
			require.NoError(t, vfs.WriteFileSynced(disk, dir+"/"+name, b))
			for _, newest := range []string{"", "9", "10", "11"} { // whatever is newer is gone
				if newest != "" {
					_ = disk.Remove(fmt.Sprintf("%s/%020s.snapshot", dir, newest))
				}
			}
			l, found, err := partition.Open(disk, dir, cfg)
			require.NoError(t, err)
			require.Empty(t, found.Corrupt)
			require.Equal(t, want, values(t, l, 0), "%s after a truncation to %d", name, to)
			require.Equal(t, epochs, l.Epochs())
			require.Equal(t, states, partition.ProducerStates(l))
			require.NoError(t, l.Close())
		}
	}
}
