package partition_test

import (
	"encoding/binary"
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// The files of a log are Kafka's: any tool that knows those reads ours.
func TestFilesAreKafkas(t *testing.T) {
	disk := vfs.NewMem(1)
	l := open(t, disk, partition.Config{SegmentBytes: 2000, IndexIntervalBytes: 300})
	var want []string
	for i := range 60 {
		want = append(want, fmt.Sprint("a", i), fmt.Sprint("b", i))
		_, err := l.AppendAsLeader(batchtest.Spec{
			Records:  batchtest.Values(fmt.Sprint("a", i), fmt.Sprint("b", i)),
			Producer: &batchtest.Producer{ID: 5, Epoch: 1, Sequence: int32(2 * i)},
		}.Bytes(), int32(i/20), now)
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
	names, err := disk.List(dir)
	require.NoError(t, err)
	var got []string
	offset, segments := int64(0), 0
	for _, name := range names {
		base, isLog := strings.CutSuffix(name, ".log")
		if !isLog {
			continue
		}
		segments++
		n, err := strconv.ParseInt(base, 10, 64)
		require.NoError(t, err)
		require.Equal(t, offset, n, "a segment is named after its first offset")
		log := []byte(read(t, disk, name))
		require.LessOrEqual(t, len(log), 2000)
		positions := map[int32]kmsg.RecordBatch{}
		for at := 0; at < len(log); {
			var k kmsg.RecordBatch
			size := 12 + int(binary.BigEndian.Uint32(log[at+8:]))
			require.NoError(t, k.ReadFrom(log[at:at+size]))
			require.Equal(t, offset, k.FirstOffset)
			require.EqualValues(t, offset/40, k.PartitionLeaderEpoch)
			require.EqualValues(t, 2, k.Magic)
			require.Equal(t, [3]int64{5, 1, offset}, [3]int64{k.ProducerID, int64(k.ProducerEpoch), int64(k.FirstSequence)})
			require.EqualValues(t, 2, k.NumRecords)
			positions[int32(at)] = k
			got = append(got, decode(t, log[at:at+size])...)
			offset += int64(k.LastOffsetDelta) + 1
			at += size
		}
		index := read(t, disk, base+".index")
		require.Zero(t, len(index)%8)
		require.GreaterOrEqual(t, len(index), 16, "an entry for about every 300 bytes")
		last := int64(-1)
		for at := 0; at < len(index); at += 8 {
			relative, position := binary.BigEndian.Uint32([]byte(index[at:])), binary.BigEndian.Uint32([]byte(index[at+4:]))
			k, ok := positions[int32(position)]
			require.True(t, ok, "an entry points at a batch")
			require.Equal(t, n+int64(relative), k.FirstOffset+int64(k.LastOffsetDelta), "and has its last offset")
			require.Greater(t, int64(relative), last)
			last = int64(relative)
		}
	}
	require.Equal(t, want, got)
	require.Greater(t, segments, 2)
	require.Equal(t, "0\n3\n0 0\n1 40\n2 80\n", read(t, disk, "leader-epoch-checkpoint"))
}

func read(t *testing.T, disk vfs.FS, name string) string {
	t.Helper()
	b, err := vfs.ReadFile(disk, path.Join(dir, name))
	require.NoError(t, err)
	return string(b)
}

func TestBatchAccessors(t *testing.T) {
	s := batchtest.Spec{
		BaseOffset: 1 << 40, LeaderEpoch: 77, Transactional: true, Control: true, Attributes: 1 << 3,
		Producer: &batchtest.Producer{ID: 1 << 50, Epoch: 12, Sequence: 1<<31 - 1},
		Records:  []batchtest.Record{{Timestamp: 5}, {Timestamp: 9}, {Timestamp: 7}},
	}
	b := partition.Batch(s.Bytes())
	require.Equal(t, []any{int64(1 << 40), int64(1<<40 + 2), int64(1<<40 + 3), int64(len(b)), int32(77), int8(2), int32(2), int64(5), int64(9),
		int64(1 << 50), int16(12), int32(1<<31 - 1), int32(1), int32(3), true, true, true, b.Checksum()},
		[]any{b.BaseOffset(), b.LastOffset(), b.NextOffset(), b.Size(), b.LeaderEpoch(), b.Magic(), b.LastOffsetDelta(), b.BaseTimestamp(), b.MaxTimestamp(),
			b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence(), b.Count(), b.Transactional(), b.Control(), b.LogAppendTime(), b.CRC()})
	n := 0
	for range partition.Batches(append(append(b, b...), b[:len(b)-1]...)) {
		n++
	}
	require.Equal(t, 2, n, "whole batches only")
}
