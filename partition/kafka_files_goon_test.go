package partition_test

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// Behind what Kafka wrote a leader and a follower go on, and all of it is there after
// a restart.
func TestKafkasLogsGoOn(t *testing.T) {
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		l := k.open(t, disk)
		var spec batchtest.Spec
		for i := range 40 { // enough for new segments
			spec.Records = []batchtest.Record{{Key: []byte("k"), Value: bytes.Repeat([]byte{'v'}, i)}, {Key: []byte{}}}
			_, err := l.AppendAsLeader(spec.Bytes(), 100, now)
			require.NoError(t, err)
		}
		spec.Records, spec.BaseOffset, spec.LeaderEpoch = spec.Records[:1], k.End+80, 101
		_, err := l.AppendAsFollower(spec.Bytes(), 101)
		require.NoError(t, err)
		end, epochs := k.End+81, l.Epochs()
		require.Equal(t, []partition.EpochStart{{Epoch: 100, Offset: k.End}, {Epoch: 101, Offset: k.End + 80}}, epochs[len(epochs)-2:])
		all := k.recordsOf(t, l)
		require.Equal(t, k.Records, all[:len(k.Records)])
		require.Len(t, all, len(k.Records)+81)
		require.NoError(t, l.Close())

		l = k.open(t, disk)
		require.Equal(t, end, l.LogEndOffset())
		require.Equal(t, all, k.recordsOf(t, l))
		from, err := l.Truncate(k.End)
		require.NoError(t, err)
		require.Equal(t, end, from)
		require.NoError(t, l.Close())
		require.Equal(t, k.Records, k.recordsOf(t, k.open(t, disk)))
	})
}

// A log of Kafka's whose last append a crash has torn ends before it.
func TestKafkasTornLogs(t *testing.T) {
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		name := k.active(t, disk)
		whole, err := vfs.ReadFile(disk, name)
		require.NoError(t, err)
		for _, cut := range []int{1, 40, 65} {
			if len(whole) < cut {
				continue
			}
			require.NoError(t, vfs.WriteFileSynced(disk, name, whole[:len(whole)-cut]))
			l, found, err := partition.Open(disk, dir, k.config())
			require.NoError(t, err)
			require.NoError(t, l.SetLogStart(min(k.Start, found.LogEndOffset)))
			require.Empty(t, found.Corrupt)
			require.Less(t, found.LogEndOffset, k.End)
			kept := slices.DeleteFunc(slices.Clone(k.Records), func(r kafkaRecord) bool { return r.Offset >= found.LogEndOffset })
			require.Equal(t, kept, k.recordsOf(t, l))
			require.NoError(t, l.Close())
		}
	})
}

// active is the file of the log's last segment.
func (k *kafkaLog) active(t *testing.T, disk vfs.FS) string {
	t.Helper()
	names, err := disk.List(dir)
	require.NoError(t, err)
	names = slices.DeleteFunc(names, func(n string) bool { return path.Ext(n) != ".log" })
	return path.Join(dir, names[len(names)-1])
}

// Indexes that are missing, or not from here, come out as Kafka wrote them. That goes
// for segments that Kafka rolled and did not restart within: where it did, it counts
// the bytes between two entries from there on.
func TestKafkasIndexesAreRebuilt(t *testing.T) {
	compared := map[string]int{}
	forEachKafkaLog(t, func(t *testing.T, disk vfs.FS, k kafkaLog) {
		names, err := disk.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			if ext := path.Ext(name); ext == ".index" || ext == ".timeindex" {
				require.NoError(t, disk.Remove(path.Join(dir, name)))
			}
		}
		require.NoError(t, k.open(t, disk).Close())
		for _, name := range names {
			base, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
			if ext != ".index" && ext != ".timeindex" || path.Join(dir, base+".log") == k.active(t, disk) || epochsIn(t, disk, base) > 1 {
				continue
			}
			want, err := os.ReadFile(filepath.Join(k.dir, name))
			require.NoError(t, err)
			got, err := vfs.ReadFile(disk, path.Join(dir, name))
			require.NoError(t, err)
			require.Equal(t, want, got, name)
			compared[ext] += len(want)
		}
	})
	require.Greater(t, compared[".index"], 2*8*100)
	require.Greater(t, compared[".timeindex"], 2*12*100)
}

// epochsIn counts the leader epochs in a segment.
func epochsIn(t *testing.T, disk vfs.FS, base string) int {
	t.Helper()
	b, err := vfs.ReadFile(disk, path.Join(dir, base+".log"))
	require.NoError(t, err)
	epochs := map[int32]bool{}
	for batch := range partition.Batches(b) {
		epochs[batch.LeaderEpoch()] = true
	}
	return len(epochs)
}
