package partition_test

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// sendAs appends a batch of one record of an idempotent producer.
func sendAs(t testing.TB, l *partition.Log, id int64, sequence int32) partition.AppendInfo {
	t.Helper()
	b := batchtest.Spec{Producer: &batchtest.Producer{ID: id, Epoch: 7, Sequence: sequence}, Records: batchtest.Values("x")}
	info, err := l.AppendAsLeader(b.Bytes(), 3, now)
	require.NoError(t, err)
	return info
}

// A snapshot begins as Kafka's does, byte for byte.
func TestSnapshotIsKafkas(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{})
	for seq := range int32(3) {
		sendAs(t, l, 4711, seq)
	}
	require.NoError(t, l.Checkpoint(now))
	require.EqualValues(t, 3, l.RecoveryPoint())
	got, err := vfs.ReadFile(disk, dir+"/00000000000000000003.snapshot")
	require.NoError(t, err)

	be := binary.BigEndian
	want := be.AppendUint32(nil, 1) // one producer
	want = be.AppendUint64(want, 4711)
	want = be.AppendUint16(want, 7)                           // its epoch
	want = be.AppendUint32(want, 2)                           // last sequence
	want = be.AppendUint64(want, 2)                           // last offset
	want = be.AppendUint32(want, 0)                           // offset delta
	want = be.AppendUint64(want, uint64(batchtest.Timestamp)) // timestamp
	want = be.AppendUint32(want, 0xffffffff)                  // coordinator epoch
	want = be.AppendUint64(want, 0xffffffffffffffff)          // no transaction
	require.Equal(t, []byte{0, 1}, got[:2], "version")
	require.Equal(t, want, got[6:6+len(want)])
	require.Equal(t, crc32.Checksum(got[6:], crc32.MakeTable(crc32.Castagnoli)), be.Uint32(got[2:6]), "Kafka sums up what is behind its entries, too")

	require.Equal(t, got, partition.RecodeSnapshot(got, 3, false))
	kafka := partition.RecodeSnapshot(got, 3, true)
	require.Equal(t, want, kafka[6:])
	ok, proof := partition.CheckSnapshot(kafka, 3)
	require.Equal(t, [2]bool{true, false}, [2]bool{ok, proof})
}

// A snapshot that Kafka wrote says nothing about what is durable, but it knows
// producers whose records retention has taken.
func TestSnapshotOfKafka(t *testing.T) {
	cfg := partition.Config{SegmentBytes: one * 2}
	disk := vfs.NewMem(0)
	l := open(t, disk, cfg)
	sendAs(t, l, 1, 0)
	for seq := range int32(9) {
		sendAs(t, l, 2, seq)
	}
	require.NoError(t, l.Checkpoint(now))
	_, err := l.Retain(now, l.LogEndOffset(), partition.Retention{Delete: true, Time: -1, Bytes: int64(3 * one)})
	require.NoError(t, err)
	require.Positive(t, l.LogStartOffset())
	require.NoError(t, l.Close())
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if at, ok := strings.CutSuffix(name, ".snapshot"); ok && at != "00000000000000000010" {
			require.NoError(t, disk.Remove(dir+"/"+name))
		} else if ok {
			edit(t, disk, dir+"/"+name, func(b []byte) []byte { return partition.RecodeSnapshot(b, 10, true) })
		}
	}
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	defer l.Close()
	require.Empty(t, found.Corrupt)
	require.Zero(t, l.RecoveryPoint())
	require.True(t, sendAs(t, l, 1, 0).Duplicate)
	require.True(t, sendAs(t, l, 2, 8).Duplicate)
	require.Equal(t, []int64{1, 2}, known(l))
}

func TestProducersOutliveTheirRecords(t *testing.T) {
	for _, clean := range []bool{true, false} {
		disk := vfs.NewMem(0)
		cfg := partition.Config{SegmentBytes: one * 2}
		l := open(t, disk, cfg)
		for seq := range int32(6) {
			sendAs(t, l, 1, seq)
		}
		_, err := l.Retain(now, l.LogEndOffset(), partition.Retention{Delete: true, Time: -1, Bytes: 0})
		require.NoError(t, err)
		require.Zero(t, l.Size())
		epochs := l.Epochs()
		if clean {
			require.NoError(t, l.Checkpoint(now))
		}
		l, found := reopen(t, l, disk, cfg)
		require.Equal(t, partition.Recovery{LogStartOffset: 6, LogEndOffset: 6}, found)
		require.Equal(t, epochs, l.Epochs(), "and so do the epochs")
		info := sendAs(t, l, 1, 1)
		require.True(t, info.Duplicate, "the oldest batch that is remembered")
		require.EqualValues(t, 1, info.BaseOffset)
		require.False(t, sendAs(t, l, 1, 6).Duplicate)
		require.NoError(t, l.Close())
	}
}

func TestDistrust(t *testing.T) {
	cfg := partition.Config{SegmentBytes: one * 2}
	disk := vfs.NewMem(0)
	var faults vfs.Faults
	l := open(t, vfs.WithFaults(disk, &faults), cfg)
	for range 9 {
		appendTo(t, l, 1, "a")
	}
	heal := faults.Fail(vfs.OpSync, "*.log", syscall.EIO)
	require.ErrorIs(t, l.Sync(), metadata.ErrStorage)
	heal()
	require.NoError(t, l.Distrust(), "a log whose disk failed")
	require.ErrorIs(t, l.Checkpoint(now), metadata.ErrStorage)
	require.NoError(t, l.Close())
	disk.PowerLoss()
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		require.NotContains(t, name, "snapshot")
	}
}

// With a full disk a log opens, and can be read, though its indexes are gone.
func TestOpenOnAFullDisk(t *testing.T) {
	cfg := partition.Config{SegmentBytes: one * 3, IndexIntervalBytes: 1}
	disk := vfs.NewMem(0)
	l := open(t, disk, cfg)
	for range 12 {
		appendTo(t, l, 1, "a")
	}
	require.NoError(t, l.Close())
	for _, name := range []string{firstIndex, dir + "/00000000000000000006.timeindex", epochFile} {
		require.NoError(t, disk.Remove(name))
	}
	var faults vfs.Faults
	heal := faults.Full()
	l, found, err := partition.Open(vfs.WithFaults(disk, &faults), dir, cfg)
	require.NoError(t, err)
	require.Equal(t, partition.Recovery{LogEndOffset: 12}, found)
	require.Len(t, values(t, l, 0), 12)
	require.Equal(t, []partition.EpochStart{{Epoch: 1}}, l.Epochs())
	heal()
	appendTo(t, l, 2, "b")
	require.NoError(t, l.Checkpoint(now))
	_, err = l.Retain(now, l.LogEndOffset(), partition.Retention{Delete: true, Time: -1, Bytes: 0})
	require.NoError(t, err)
	l, _ = reopen(t, l, disk, cfg)
	require.EqualValues(t, 13, l.LogStartOffset())
	require.NoError(t, l.Close())
}

// FuzzSnapshot reads anything: it is refused, or written again as it was.
func FuzzSnapshot(f *testing.F) {
	disk := vfs.NewMem(0)
	l := open(f, disk, partition.Config{SegmentBytes: 3 * one, IndexIntervalBytes: 1})
	for seq := range int32(7) {
		sendAs(f, l, int64(seq%2), seq/2)
	}
	require.NoError(f, l.Checkpoint(now))
	good, err := vfs.ReadFile(disk, dir+"/00000000000000000007.snapshot")
	require.NoError(f, err)
	f.Add(good[6:], true)
	f.Add(good[6:], false)
	f.Add(partition.RecodeSnapshot(good, 7, true)[6:], true)
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff}, true)
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff}, true)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, body []byte, sealed bool) {
		b := append([]byte{0, 1, 0, 0, 0, 0}, body...)
		if sealed {
			binary.BigEndian.PutUint32(b[2:], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
		}
		ok, proof := partition.CheckSnapshot(b, 7)
		require.True(t, sealed || !ok || len(body) == 0)
		if again := partition.RecodeSnapshot(b, 7, false); ok {
			ok, same := partition.CheckSnapshot(again, 7)
			require.True(t, ok && same == proof)
		}
		// A log beside it opens all the same, and serves what is right.
		disk := cloneDir(t, disk, func(name string) bool { return !strings.HasSuffix(name, ".snapshot") })
		require.NoError(t, vfs.WriteFileSynced(disk, dir+"/00000000000000000007.snapshot", b))
		l, _, err := partition.Open(disk, dir, partition.Config{})
		require.NoError(t, err)
		defer l.Close()
		require.Len(t, values(t, l, 0), int(l.LogEndOffset()))
		times(t, l)
	})
}

// A truncation below every snapshot leaves one of its own: what nobody can learn
// from the log any more is not forgotten.
func TestProducersOutliveATruncation(t *testing.T) {
	disk := vfs.NewMem(0)
	cfg := partition.Config{SegmentBytes: 20 * one}
	l := open(t, disk, cfg)
	sendAs(t, l, 1, 0)
	_, err := l.Retain(now, l.LogEndOffset(), partition.Retention{Delete: true, Time: -1, Bytes: 0})
	require.NoError(t, err)
	require.EqualValues(t, 1, l.LogStartOffset())
	for seq := range int32(5) {
		sendAs(t, l, 2, seq)
		require.NoError(t, l.Checkpoint(now))
	}
	_, err = l.Truncate(2)
	require.NoError(t, err)
	require.EqualValues(t, 2, l.RecoveryPoint())
	l, found := reopen(t, l, disk, cfg)
	require.Equal(t, partition.Recovery{LogStartOffset: 1, LogEndOffset: 2}, found)
	require.True(t, sendAs(t, l, 1, 0).Duplicate)
	require.True(t, sendAs(t, l, 2, 0).Duplicate)
	require.False(t, sendAs(t, l, 2, 1).Duplicate)
}

// The snapshots that Apache Kafka wrote are read, and written as they were but for
// what transactions say there.
func TestSnapshotsThatKafkaWrote(t *testing.T) {
	files, err := filepath.Glob("testdata/kafka-4.1/clean/*/*.snapshot")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	same := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		at, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".snapshot"), 10, 64)
		require.NoError(t, err)
		ok, proof := partition.CheckSnapshot(b, at)
		require.True(t, ok, name)
		require.False(t, proof, name)
		again := partition.RecodeSnapshot(b, at, true)
		require.Len(t, again, len(b), name)
		if string(again) == string(b) && len(b) > 10 {
			same++
		}
	}
	require.Positive(t, same)
}
