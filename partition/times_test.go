package partition_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

const firstTimeIndex = dir + "/00000000000000000000.timeindex"

// stamped is a batch with a record for each timestamp, counted from the usual one.
func stamped(packed codec.Type, ms ...int64) []byte {
	s := batchtest.Spec{Codec: packed}
	for i, t := range ms {
		s.Records = append(s.Records, batchtest.Record{Value: fmt.Append(nil, i), Timestamp: batchtest.Timestamp + t})
	}
	return s.Bytes()
}

func appendStamped(t require.TestingT, l *partition.Log, epoch int32, ms ...int64) {
	_, err := l.AppendAsLeader(stamped(codec.None, ms...), epoch, now.Add(time.Hour))
	require.NoError(t, err)
}

func at(offset, ms int64, epoch int32) partition.TimedOffset {
	return partition.TimedOffset{Offset: offset, Timestamp: batchtest.Timestamp + ms, LeaderEpoch: epoch}
}

func TestTheFirstRecordThatIsAsNewIsFound(t *testing.T) {
	for packed := range codec.ZSTD + 1 {
		t.Run(packed.String(), func(t *testing.T) {
			disk := vfs.NewMem(0)
			l := open(t, disk, partition.Config{})
			for i, ms := range [][]int64{{10, 30, 20}, {5}, {25, 40}, {35}} {
				_, err := l.AppendAsLeader(stamped(packed, ms...), int32(i), now)
				require.NoError(t, err)
			}
			check := func(l *partition.Log) {
				for ms, want := range map[int64]partition.TimedOffset{
					0: at(0, 10, 0), 10: at(0, 10, 0), 11: at(1, 30, 0), 30: at(1, 30, 0), 31: at(5, 40, 2), 41: partition.NoTimedOffset,
				} {
					got, err := l.OffsetForTime(batchtest.Timestamp + ms)
					require.NoError(t, err)
					require.Equal(t, want, got, "%d ms", ms)
				}
				for limit, want := range map[int64]partition.TimedOffset{0: partition.NoTimedOffset, 3: at(1, 30, 0), 4: at(1, 30, 0), 6: at(5, 40, 2), 99: at(5, 40, 2)} {
					got, err := l.OffsetOfMaxTime(limit)
					require.NoError(t, err)
					require.Equal(t, want, got, "below %d", limit)
				}
			}
			check(l)
			l, _ = reopen(t, l, disk, partition.Config{})
			check(l)
			require.NoError(t, l.SetLogStart(2))
			got, err := l.OffsetForTime(batchtest.Timestamp)
			require.NoError(t, err)
			require.Equal(t, at(2, 20, 0), got, "nothing below the log start is found")
			require.NoError(t, l.SetLogStart(6))
			got, err = l.OffsetOfMaxTime(7)
			require.NoError(t, err)
			require.Equal(t, at(6, 35, 3), got)
		})
	}
}

func TestLogAppendTimeIsTheTimeOfEveryRecord(t *testing.T) {
	l := open(t, vfs.NewMem(0), partition.Config{LogAppendTime: true})
	for i := range 3 {
		_, err := l.AppendAsLeader(stamped(codec.Gzip, 3, 1, 2), 1, now.Add(time.Duration(i)*time.Second))
		require.NoError(t, err)
	}
	got, err := l.OffsetForTime(batchtest.Timestamp + 1)
	require.NoError(t, err)
	require.Equal(t, at(3, 1000, 1), got)
	got, err = l.OffsetOfMaxTime(9)
	require.NoError(t, err)
	require.Equal(t, at(6, 2000, 1), got)
}

func TestRecordsWithoutATimeAreNotFoundByIt(t *testing.T) {
	l := open(t, vfs.NewMem(0), partition.Config{})
	_, err := l.AppendAsLeader(batchtest.Spec{Records: []batchtest.Record{{Timestamp: -1}}}.Bytes(), 1, now)
	require.NoError(t, err)
	got, err := l.OffsetForTime(0)
	require.NoError(t, err)
	require.Equal(t, partition.NoTimedOffset, got)
	got, err = l.OffsetOfMaxTime(1)
	require.NoError(t, err)
	require.Equal(t, partition.NoTimedOffset, got)
}

// The file is Kafka's: timestamp and offset, an entry with each of the offset
// index if there is news, and one when the segment is rolled or the log closed.
func TestTimeIndexFile(t *testing.T) {
	size := len(stamped(codec.None, 0))
	disk := vfs.NewMem(0)
	cfg := partition.Config{SegmentBytes: 6 * size, IndexIntervalBytes: size}
	l := open(t, disk, cfg)
	for _, ms := range []int64{1, 9, 3, 4, 20, 8, 21} { // entries are due at the offsets 2 and 4
		appendStamped(t, l, 1, ms)
	}
	entry := func(ms int64, offset uint32) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(batchtest.Timestamp+ms)), offset)
	}
	want := append(entry(9, 1), entry(20, 4)...)
	file := func() []byte {
		b, err := vfs.ReadFile(disk, firstTimeIndex)
		require.NoError(t, err)
		return b
	}
	require.Equal(t, want, file())

	require.NoError(t, l.Close())
	index, err := vfs.ReadFile(disk, firstIndex)
	require.NoError(t, err)
	for name, change := range map[string]func([]byte) []byte{
		"torn":    func(b []byte) []byte { return b[:len(b)-5] },
		"stale":   func([]byte) []byte { return entry(99, 0) },
		"emptied": func([]byte) []byte { return nil },
	} {
		edit(t, disk, firstTimeIndex, change)
		edit(t, disk, firstIndex, change)
		l, _, err = partition.Open(disk, dir, cfg)
		require.NoError(t, err)
		require.Equal(t, want, file(), name)
		got, err := vfs.ReadFile(disk, firstIndex)
		require.NoError(t, err)
		require.Equal(t, index, got, name)
		require.NoError(t, l.Close())
	}
	require.NoError(t, disk.Remove(firstTimeIndex))
	l = open(t, disk, cfg)
	require.Equal(t, want, file(), "missing")

	_, err = l.Truncate(4)
	require.NoError(t, err)
	require.Equal(t, entry(9, 1), file(), "truncated")

	appendStamped(t, l, 1, 15)
	require.NoError(t, l.Close())
	require.Equal(t, append(entry(9, 1), entry(15, 4)...), file(), "a log that is closed says what is the newest: Kafka reads no more of it")
}

func TestASearchByTimeNeverAnswersFromDamage(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{})
	appendStamped(t, l, 1, 1)
	l, _ = reopen(t, l, disk, partition.Config{})
	f, err := disk.Open(firstLog)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0xff}, partition.HeaderSize+2)
	require.NoError(t, err)
	_, err = l.OffsetForTime(0)
	require.ErrorIs(t, err, metadata.ErrCorruptMessage)
	require.NoError(t, l.Close())
	_, err = l.OffsetForTime(0)
	require.ErrorIs(t, err, metadata.ErrStorage)
}

// Whatever happens to a log, a search finds what going through it finds.
func TestSearchByTimeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := vfs.NewMem(0)
		cfg := partition.Config{SegmentBytes: 500, IndexIntervalBytes: rapid.IntRange(1, 300).Draw(t, "interval")}
		l, _, err := partition.Open(disk, dir, cfg)
		require.NoError(t, err)
		var all []int64 // timestamp by offset
		start := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				ms := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 4).Draw(t, "ms")
				appendStamped(t, l, 1, ms...)
				all = append(all, ms...)
			},
			"truncate": func(t *rapid.T) {
				if to := rapid.IntRange(start, len(all)).Draw(t, "to"); to < len(all) {
					_, err := l.Truncate(int64(to))
					require.NoError(t, err)
					all, start = all[:l.LogEndOffset()], int(l.LogStartOffset())
				}
			},
			"delete": func(t *rapid.T) {
				start = rapid.IntRange(start, len(all)).Draw(t, "start")
				require.NoError(t, l.SetLogStart(int64(start)))
			},
			"crash": func(t *rapid.T) {
				require.NoError(t, l.Close())
				l, _, err = partition.Open(disk, dir, cfg)
				require.NoError(t, err)
				require.NoError(t, l.SetLogStart(int64(start)))
			},
			"": func(t *rapid.T) {
				want, newest := partition.NoTimedOffset, partition.NoTimedOffset
				ms := rapid.Int64Range(0, 51).Draw(t, "since")
				for i := start; i < len(all); i++ {
					if want.Offset < 0 && all[i] >= ms {
						want = at(int64(i), all[i], 1)
					}
					if batchtest.Timestamp+all[i] > newest.Timestamp {
						newest = at(int64(i), all[i], 1)
					}
				}
				got, err := l.OffsetForTime(batchtest.Timestamp + ms)
				require.NoError(t, err)
				require.Equal(t, want, got)
				got, err = l.OffsetOfMaxTime(int64(len(all)))
				require.NoError(t, err)
				require.Equal(t, newest, got)
			},
		})
		require.NoError(t, l.Close())
	})
}
