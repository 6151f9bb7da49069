package partition_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"path"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

var now = time.UnixMilli(batchtest.Timestamp)

const dir = "orders-0"

func open(t testing.TB, disk vfs.FS, cfg partition.Config) *partition.Log {
	t.Helper()
	l, _, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// reopen closes a log and opens it again, as after the crash of its process.
func reopen(t testing.TB, l *partition.Log, disk vfs.FS, cfg partition.Config) (*partition.Log, partition.Recovery) {
	t.Helper()
	require.NoError(t, l.Close())
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l, found
}

func appendTo(t testing.TB, l *partition.Log, epoch int32, values ...string) partition.AppendInfo {
	t.Helper()
	info, err := appendWhole(l, batchtest.NewBatch(values...), epoch)
	require.NoError(t, err)
	return info
}

// appendWhole appends and waits for the sync that is owed, if one is.
func appendWhole(l *partition.Log, batch []byte, epoch int32) (partition.AppendInfo, error) {
	info, err := l.AppendAsLeader(batch, epoch, now)
	if err == nil {
		err = l.AwaitSynced(info)
	}
	return info, err
}

// values returns the records' values from offset on.
func values(t testing.TB, l *partition.Log, from int64) []string {
	t.Helper()
	b, err := l.Read(nil, from, math.MaxInt64, math.MaxInt32, true)
	require.NoError(t, err)
	return decode(t, b)
}

func decode(t testing.TB, b []byte) (values []string) {
	t.Helper()
	for batch := range partition.Batches(b) {
		require.Equal(t, batch.CRC(), batch.Checksum())
		var k kmsg.RecordBatch
		require.NoError(t, k.ReadFrom(batch))
		rest := k.Records
		for range k.NumRecords {
			size, n := binary.Varint(rest)
			var r kmsg.Record
			require.NoError(t, r.ReadFrom(rest[:n+int(size)]))
			values = append(values, string(r.Value))
			rest = rest[n+int(size):]
		}
		b = b[len(batch):]
	}
	require.Empty(t, b, "bytes that are no whole batch")
	return values
}

func TestAppendGivesOffsetsAndKeepsTheBytes(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	first := appendTo(t, l, 3, "a", "b")
	require.Equal(t, partition.AppendInfo{BaseOffset: 0, LastOffset: 1, Timestamp: -1, Records: 2, Bytes: first.Bytes}, first)
	b := batchtest.NewBatch("c")
	crc := partition.Batch(b).CRC()
	second, err := l.AppendAsLeader(b, 4, now)
	require.NoError(t, err)
	require.EqualValues(t, 2, second.BaseOffset)
	require.EqualValues(t, 3, l.LogEndOffset())
	require.Equal(t, []string{"a", "b", "c"}, values(t, l, 0))

	got, err := l.Read(nil, 2, 3, 1, true)
	require.NoError(t, err)
	require.Equal(t, batchtest.At(2, 4, "c"), got)
	require.Equal(t, crc, partition.Batch(got).CRC(), "offset and epoch are patched outside of what the checksum covers")
}

func TestFollowerHoldsTheSameBytes(t *testing.T) {
	leader, follower := open(t, vfs.NewMem(1), partition.Config{}), open(t, vfs.NewMem(2), partition.Config{SegmentBytes: 200})
	for i := range 20 {
		appendTo(t, leader, int32(i/7), fmt.Sprint("value ", i))
	}
	all, err := leader.Read(nil, 0, 20, 1<<20, true)
	require.NoError(t, err)
	cutOff := len(all) - 5
	info, err := follower.AppendAsFollower(all[:cutOff], 2)
	require.NoError(t, err)
	require.Equal(t, [3]int64{0, 18, 19}, [3]int64{info.BaseOffset, info.LastOffset, int64(info.Records)}, "the batch that is cut off waits")
	rest, err := leader.Read(nil, follower.LogEndOffset(), 20, 1<<20, true)
	require.NoError(t, err)
	_, err = follower.AppendAsFollower(rest, 2)
	require.NoError(t, err)

	same, err := follower.Read(nil, 0, 20, 1<<20, true)
	require.NoError(t, err)
	require.Equal(t, all, same)
	require.Equal(t, leader.Epochs(), follower.Epochs())
	require.Equal(t, []partition.EpochStart{{Epoch: 0, Offset: 0}, {Epoch: 1, Offset: 7}, {Epoch: 2, Offset: 14}}, follower.Epochs())
}

func TestFollowerRefuses(t *testing.T) {
	damaged := batchtest.At(2, 1, "c")
	damaged[len(damaged)-2] ^= 1
	garbage := slices.Repeat([]byte{0xff}, 100)
	for name, b := range map[string][]byte{
		"a wrong checksum":            damaged,
		"offsets that go back":        batchtest.At(1, 1, "c"),
		"a gap":                       batchtest.At(3, 1, "c"),
		"an epoch that goes back":     batchtest.At(2, 0, "c"),
		"damage behind a good batch":  append(batchtest.At(2, 1, "c"), batchtest.At(2, 1, "d")...),
		"garbage":                     garbage,
		"garbage behind a good batch": append(batchtest.At(2, 1, "c"), garbage...),
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, vfs.NewMem(1), partition.Config{})
			appendTo(t, l, 1, "a", "b")
			_, err := l.AppendAsFollower(b, 1)
			require.ErrorIs(t, err, metadata.ErrCorruptMessage)
			require.EqualValues(t, 2, l.LogEndOffset(), "nothing of it was appended")
		})
	}
}

func TestFollowerLeavesOutNewerEpochs(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	info, err := l.AppendAsFollower(append(batchtest.At(0, 1, "a"), batchtest.At(1, 3, "b")...), 2)
	require.NoError(t, err)
	require.Equal(t, [2]int64{0, 0}, [2]int64{info.BaseOffset, info.LastOffset})
	info, err = l.AppendAsFollower(batchtest.At(1, 3, "b"), 2)
	require.NoError(t, err)
	require.Equal(t, [3]int64{1, 0, 0}, [3]int64{info.BaseOffset, info.LastOffset, int64(info.Records)}, "nothing")
}

func TestCompactedLogsMayHaveGaps(t *testing.T) {
	disk, cfg := vfs.NewMem(1), partition.Config{Compacted: true}
	l := open(t, disk, cfg)
	_, err := l.AppendAsFollower(append(batchtest.At(5, 1, "a"), batchtest.At(900, 1, "b")...), 1)
	require.NoError(t, err)
	_, err = l.AppendAsFollower(batchtest.At(math.MaxInt32+2000, 1, "c"), 1) // too far for the index of the first segment
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, values(t, l, 0))
	require.Equal(t, []string{"b", "c"}, values(t, l, 6))
	l, found := reopen(t, l, disk, partition.Config{}) // whether or not it is known what the topic is
	require.Empty(t, found.Corrupt)
	require.Equal(t, []string{"c"}, values(t, l, 901))
	_, err = l.AppendAsFollower(batchtest.At(math.MaxInt32+9000, 1, "d"), 1)
	require.NoError(t, err)
}

func TestReadKeepsItsLimits(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{SegmentBytes: 300, IndexIntervalBytes: 1})
	for i := range 10 {
		appendTo(t, l, 0, fmt.Sprint(2*i), fmt.Sprint(2*i+1)) // offsets 2i, 2i+1
	}
	one := len(batchtest.NewBatch("0", "1"))
	count := func(from, limit int64, maxBytes int, atLeastOne bool) []string {
		prefix := []byte("kept")
		b, err := l.Read(prefix, from, limit, maxBytes, atLeastOne)
		require.NoError(t, err)
		require.Equal(t, "kept", string(b[:4]))
		return decode(t, b[4:])
	}
	require.Equal(t, []string{"0", "1"}, count(0, 20, one, false))
	require.Equal(t, []string{"0", "1"}, count(0, 20, 2*one-1, false), "only whole batches")
	require.Equal(t, []string{"0", "1", "2", "3"}, count(0, 20, 2*one, false))
	require.Empty(t, count(0, 20, one-1, false))
	require.Empty(t, count(0, 20, 0, false))
	require.Equal(t, []string{"0", "1"}, count(0, 20, 1, true), "at least one")
	require.Equal(t, []string{"0", "1"}, count(0, 20, 0, true))
	require.Equal(t, []string{"0", "1"}, count(1, 2, 1000, false), "the batch that holds the offset, whole")
	require.Equal(t, []string{"0", "1"}, count(0, 3, 1000, true), "nothing beyond the limit, nor a batch that reaches over it")
	require.Empty(t, count(2, 3, 1000, true))
	require.Empty(t, count(4, 4, 1000, true))
	require.Len(t, count(7, 20, 100_000, false), 14, "over the ends of segments")
	require.Empty(t, count(20, 20, 1000, true), "the end")
	for _, out := range []int64{-1, 21} {
		_, err := l.Read(nil, out, 30, 1000, true)
		require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
	}
	require.NoError(t, l.SetLogStart(5))
	_, err := l.Read(nil, 4, 20, 1000, true)
	require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
	require.Equal(t, "4", count(5, 20, one, true)[0], "the batch that holds the log start")
}

func TestSegmentsRoll(t *testing.T) {
	one := len(batchtest.NewBatch("0"))
	logs := func(cfg partition.Config, batches int) []string {
		disk := vfs.NewMem(1)
		l := open(t, disk, cfg)
		for range batches {
			appendTo(t, l, 0, "0")
		}
		require.EqualValues(t, batches*one, l.Size())
		names, err := disk.List(dir)
		require.NoError(t, err)
		return slices.DeleteFunc(names, func(n string) bool { return path.Ext(n) != ".log" })
	}
	require.Equal(t, []string{"00000000000000000000.log", "00000000000000000003.log", "00000000000000000006.log"},
		logs(partition.Config{SegmentBytes: 3 * one}, 7), "by size")
	require.Equal(t, []string{"00000000000000000000.log", "00000000000000000003.log"},
		logs(partition.Config{SegmentIndexBytes: 16, IndexIntervalBytes: 1}, 5), "by a full index")
}

func TestTruncate(t *testing.T) {
	build := func(t *testing.T) (*partition.Log, *vfs.Mem) {
		disk := vfs.NewMem(0)
		l := open(t, disk, partition.Config{SegmentBytes: 250, IndexIntervalBytes: 50})
		for i := range 12 { // two records each, an epoch for every three batches
			appendTo(t, l, int32(i/3), fmt.Sprint(2*i), fmt.Sprint(2*i+1))
		}
		return l, disk
	}
	for _, c := range []struct {
		to, end int64
		epoch   int32
	}{{24, 24, 3}, {30, 24, 3}, {23, 22, 3}, {22, 22, 3}, {18, 18, 2}, {19, 18, 2}, {7, 6, 0}, {6, 6, 0}, {1, 0, -1}, {0, 0, -1}} {
		t.Run(fmt.Sprint("to ", c.to), func(t *testing.T) {
			l, disk := build(t)
			from, err := l.Truncate(c.to)
			require.NoError(t, err)
			require.EqualValues(t, 24, from)
			check := func(l *partition.Log) {
				require.Equal(t, c.end, l.LogEndOffset())
				require.Equal(t, c.epoch, l.LatestEpoch())
				require.Len(t, values(t, l, 0), int(c.end))
			}
			check(l)
			disk.PowerLoss() // the cut is durable, unless there was none
			cut := c.end < 24
			l, _, err = partition.Open(disk, dir, partition.Config{SegmentBytes: 250})
			require.NoError(t, err)
			defer l.Close()
			if cut {
				check(l)
			}
			info := appendTo(t, l, 9, "new")
			require.Equal(t, l.LogEndOffset()-1, info.BaseOffset)
			all := values(t, l, 0)
			require.Equal(t, "new", all[len(all)-1])
		})
	}
}

func TestSegmentsThatWereCutOffStayAway(t *testing.T) {
	disk := vfs.NewMem(0)
	cfg := partition.Config{SegmentBytes: one}
	l := open(t, disk, cfg)
	appendTo(t, l, 0, "a")
	appendTo(t, l, 0, "b")
	appendTo(t, l, 0, "c")
	require.NoError(t, l.Sync())
	_, err := l.Truncate(1)
	require.NoError(t, err)
	disk.PowerLoss()
	l, found, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, partition.Recovery{LogEndOffset: 1}, found)
}

func TestTruncateAtTheEndForgetsAnEpochWithoutRecords(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	appendTo(t, l, 5, "a")
	require.NoError(t, l.StartEpoch(7))
	require.EqualValues(t, 7, l.LatestEpoch())
	_, err := l.Truncate(1)
	require.NoError(t, err)
	require.EqualValues(t, 5, l.LatestEpoch())
	require.Equal(t, []string{"a"}, values(t, l, 0))
}

func TestReset(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{SegmentBytes: 200})
	for i := range 9 {
		appendTo(t, l, 1, fmt.Sprint(i))
	}
	require.NoError(t, l.Reset(100))
	require.Equal(t, [3]int64{100, 100, 0}, [3]int64{l.LogStartOffset(), l.LogEndOffset(), l.Size()})
	require.EqualValues(t, -1, l.LatestEpoch())
	_, err := l.Read(nil, 5, 200, 100, true)
	require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
	_, err = l.AppendAsFollower(batchtest.At(100, 4, "x"), 4)
	require.NoError(t, err)
	l, _ = reopen(t, l, disk, partition.Config{})
	require.Equal(t, []string{"x"}, values(t, l, 100))
	_, err = l.Truncate(50) // below the first segment
	require.NoError(t, err)
	require.Equal(t, [2]int64{50, 50}, [2]int64{l.LogStartOffset(), l.LogEndOffset()})
	disk.PowerLoss()
	l, found, err := partition.Open(disk, dir, partition.Config{})
	require.NoError(t, err)
	require.Equal(t, partition.Recovery{LogStartOffset: 50, LogEndOffset: 50}, found)
	require.NoError(t, l.Close())
}

func TestStartEpochIsDurableAndNeverGoesBack(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{})
	appendTo(t, l, 2, "a")
	require.NoError(t, l.StartEpoch(5))
	require.NoError(t, l.StartEpoch(5))
	require.Equal(t, []partition.EpochStart{{Epoch: 2, Offset: 0}, {Epoch: 5, Offset: 1}}, l.Epochs())
	require.ErrorIs(t, l.StartEpoch(4), metadata.ErrFencedLeaderEpoch)
	_, err := l.AppendAsLeader(batchtest.NewBatch("z"), 4, now)
	require.ErrorIs(t, err, metadata.ErrFencedLeaderEpoch)
	disk.PowerLoss()
	b, err := vfs.ReadFile(disk, dir+"/leader-epoch-checkpoint")
	require.NoError(t, err)
	require.Equal(t, "0\n2\n2 0\n5 1\n", string(b))
}

func TestFlushMessagesSyncsBeforeTheAck(t *testing.T) {
	disk := vfs.NewMem(0)
	cfg := partition.Config{FlushMessages: 2}
	l := open(t, disk, cfg)
	for _, v := range []string{"a", "b", "c"} {
		appendTo(t, l, 0, v)
	}
	disk.PowerLoss()
	l, _, err := partition.Open(disk, dir, cfg)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, []string{"a", "b"}, values(t, l, 0))
}

func TestWithoutFlushOnlyAProcessCrashIsSurvived(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{})
	appendTo(t, l, 0, "a")
	l, found := reopen(t, l, disk, partition.Config{})
	require.Equal(t, partition.Recovery{LogEndOffset: 1}, found)
	require.NoError(t, l.Sync())
	appendTo(t, l, 0, "b")
	disk.PowerLoss()
	_, found, err := partition.Open(disk, dir, partition.Config{})
	require.NoError(t, err)
	require.Equal(t, partition.Recovery{LogEndOffset: 1}, found)
}

func TestABrokenDiskEndsTheWriting(t *testing.T) {
	for name, break_ := range map[string]func(*vfs.Faults) func(){
		"full":      (*vfs.Faults).Full,
		"torn":      func(f *vfs.Faults) func() { return f.ShortWrite("*.log", 30) },
		"sync":      func(f *vfs.Faults) func() { return f.Fail(vfs.OpSync, "*.log", syscall.EIO) },
		"epochs":    func(f *vfs.Faults) func() { return f.Fail(vfs.OpRename, "leader-epoch-checkpoint.tmp", syscall.EIO) },
		"directory": func(f *vfs.Faults) func() { return f.Fail(vfs.OpSyncDir, "", syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			var faults vfs.Faults
			disk := vfs.NewMem(1)
			cfg := partition.Config{FlushMessages: 1}
			l := open(t, vfs.WithFaults(disk, &faults), cfg)
			appendTo(t, l, 0, "a")
			heal := break_(&faults)
			_, err := appendWhole(l, batchtest.NewBatch("b"), 1)
			require.ErrorIs(t, err, metadata.ErrStorage)
			require.EqualValues(t, 1, l.LogEndOffset(), "what may not be on disk is not shown")
			heal()
			_, err = l.AppendAsLeader(batchtest.NewBatch("c"), 1, now)
			require.ErrorIs(t, err, metadata.ErrStorage, "never tried again")
			require.ErrorIs(t, l.Sync(), metadata.ErrStorage)
			require.Equal(t, []string{"a"}, values(t, l, 0), "what was there can be read")
			l, found := reopen(t, l, disk, cfg)
			require.Empty(t, found.Corrupt)
			require.Equal(t, "a", values(t, l, 0)[0])
		})
	}
}

func TestAnEndedIncarnationWritesNothingMore(t *testing.T) {
	disk, g := vfs.NewMem(1), gate.New()
	l := open(t, vfs.Gated(disk, g), partition.Config{})
	appendTo(t, l, 0, "a")
	g.Shut()
	_, err := l.AppendAsLeader(batchtest.NewBatch("b"), 0, now)
	require.ErrorIs(t, err, metadata.ErrStorage)
	require.ErrorIs(t, err, gate.ErrShut)
	require.NoError(t, l.Close())
	l = open(t, disk, partition.Config{})
	require.Equal(t, []string{"a"}, values(t, l, 0))
}

func TestAClosedLogSaysSo(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	appendTo(t, l, 0, "a")
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err := l.AppendAsLeader(batchtest.NewBatch("b"), 0, now)
	require.ErrorIs(t, err, partition.ErrClosed)
	_, err = l.Read(nil, 0, 1, 100, true)
	require.ErrorIs(t, err, partition.ErrClosed)
	_, err = l.Truncate(0)
	require.ErrorIs(t, err, partition.ErrClosed)
}

func TestTopicID(t *testing.T) {
	id, err := metadata.ParseUUID("AAAAAAAAQACAAAAAAAAAAQ")
	require.NoError(t, err)
	disk := vfs.NewMem(0)
	require.NoError(t, open(t, disk, partition.Config{TopicID: id}).Close())
	disk.PowerLoss()
	b, err := vfs.ReadFile(disk, dir+"/partition.metadata")
	require.NoError(t, err)
	require.Equal(t, "version: 0\ntopic_id: AAAAAAAAQACAAAAAAAAAAQ\n", string(b))
	got, ok, err := partition.ReadTopicID(disk, dir)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, id, got)
	_, _, err = partition.Open(disk, dir, partition.Config{TopicID: metadata.UUID{1}})
	require.ErrorIs(t, err, metadata.ErrInconsistentTopicID)
	_, ok, err = partition.ReadTopicID(disk, "nowhere")
	require.NoError(t, err)
	require.False(t, ok)
}
