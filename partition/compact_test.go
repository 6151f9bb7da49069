package partition_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

func TestTheLastRecordOfEachKeyStays(t *testing.T) {
	active := list(batch("z=1"))
	for name, c := range map[string]struct {
		log  [][]batchtest.Spec
		how  partition.Compaction
		want []string
	}{
		"within a batch": {
			log:  [][]batchtest.Spec{list(batch("a=1", "b=1", "a=2")), active},
			want: []string{"1:b=1", "2:a=2", "3:z=1"},
		},
		"from batch to batch, and from segment to segment": {
			log:  [][]batchtest.Spec{list(batch("a=1", "b=1"), batch("a=2")), list(batch("a=3", "c=1")), active},
			want: []string{"1:b=1", "3:a=3", "4:c=1", "5:z=1"},
		},
		"the active segment is not looked at": {
			log:  [][]batchtest.Spec{list(batch("a=1"), batch("a=2")), list(batch("a=3", "a=4"))},
			want: []string{"1:a=2", "2:a=3", "3:a=4"},
		},
		"what is clean is not mapped, yet made obsolete": {
			log:  [][]batchtest.Spec{list(batch("a=1", "b=1")), list(batch("a=2", "c=1")), active},
			how:  partition.Compaction{FirstDirty: 2},
			want: []string{"1:b=1", "2:a=2", "3:c=1", "4:z=1"},
		},
		"an impossible first dirty offset is as good as none": {
			log:  [][]batchtest.Spec{list(batch("a=1", "a=2")), active},
			how:  partition.Compaction{FirstDirty: 100},
			want: []string{"1:a=2", "2:z=1"},
		},
		"records without a key go": {
			log:  [][]batchtest.Spec{list(batch("=1", "a=1", "=2")), active},
			want: []string{"1:a=1", "3:z=1"},
		},
		"an empty key is a key": {
			log:  [][]batchtest.Spec{list(batchtest.Spec{Records: []batchtest.Record{{Key: []byte{}, Value: []byte("1")}, {Key: []byte{}, Value: []byte("2")}}}), active},
			want: []string{"1:=2", "2:z=1"},
		},
		"a tombstone makes older values obsolete and stays at first": {
			log:  [][]batchtest.Spec{list(batch("a=1", "b=1")), list(batch("a!")), active},
			want: []string{"1:b=1", "2:a!", "3:z=1"},
		},
		"a value after a tombstone": {
			log:  [][]batchtest.Spec{list(batch("a=1"), batch("a!"), batch("a=2")), active},
			want: []string{"2:a=2", "3:z=1"},
		},
	} {
		for _, packing := range []codec.Type{codec.None, codec.Gzip, codec.Snappy, codec.LZ4, codec.ZSTD} {
			t.Run(name+"/"+packing.String(), func(t *testing.T) {
				disk := vfs.NewMem(0)
				for _, specs := range c.log {
					for i := range specs {
						specs[i].Codec = packing
					}
				}
				l := segments(t, disk, c.log...)
				end := l.LogEndOffset()
				done := compact(t, l, now, c.how)
				require.Equal(t, c.want, words(t, l))
				require.Equal(t, [2]int64{0, end}, [2]int64{l.LogStartOffset(), l.LogEndOffset()})
				require.Less(t, done.RecordsAfter, done.RecordsBefore)
				require.Less(t, done.BytesAfter, done.BytesBefore)

				disk.PowerLoss()
				l, found := reopen(t, l, disk, partition.Config{})
				require.Empty(t, found.Corrupt)
				want := c.want
				if len(want) > 0 && l.LogEndOffset() < end { // the active segment was never synced
					want = want[:len(words(t, l))]
				}
				require.Equal(t, want, words(t, l))
			})
		}
	}
}

// What lies at or above the high watermark may be cut off again, and then what it
// made obsolete would be missed.
func TestOnlyWhatIsCommittedIsCompacted(t *testing.T) {
	l := segments(t, vfs.NewMem(0), list(batch("a=1"), batch("a=2")), list(batch("a=3"), batch("a=4")), list(batch("z=1")))
	cleaner := partition.NewCleaner(1 << 20)
	done, err := cleaner.Compact(l, now, partition.Compaction{Committed: 3})
	require.NoError(t, err)
	require.Equal(t, []string{"1:a=2", "2:a=3", "3:a=4", "4:z=1"}, words(t, l), "a=3 is committed, but its segment is not")
	require.Equal(t, [2]int64{0, 2}, [2]int64{done.From, done.To})
	done, err = cleaner.Compact(l, now, partition.Compaction{Committed: 4, FirstDirty: done.To})
	require.NoError(t, err)
	require.Equal(t, []string{"3:a=4", "4:z=1"}, words(t, l))
	require.EqualValues(t, 4, done.To)
}

// A map that is full ends the stretch of one compaction, and the next one goes on.
func TestAFullMapIsNoEnd(t *testing.T) {
	l := segments(t, vfs.NewMem(0),
		list(batch("a=1", "b=1", "c=1", "d=1", "a=2", "e=1", "f=1"), batch("b=2", "g=1", "h=1", "i=1", "c=2")), list(batch("z=1")))
	cleaner := partition.NewCleaner(1) // room for six keys
	at, rounds := int64(0), 0
	for at < 12 {
		done, err := cleaner.Compact(l, now, partition.Compaction{Committed: 13, FirstDirty: at})
		require.NoError(t, err)
		require.Equal(t, at, done.From)
		require.Greater(t, done.To, at)
		at = done.To
		rounds++
	}
	require.Equal(t, 2, rounds)
	require.Equal(t, []string{"3:d=1", "4:a=2", "5:e=1", "6:f=1", "7:b=2", "8:g=1", "9:h=1", "10:i=1", "11:c=2", "12:z=1"}, words(t, l))
}

// A tombstone stays for delete.retention.ms from the first compaction that leaves no
// older value, with its own timestamp, and goes with the next one after that.
func TestTombstonesGoAfterTheirTime(t *testing.T) {
	for _, packing := range []codec.Type{codec.None, codec.ZSTD} {
		disk := vfs.NewMem(0)
		deletes := batchtest.Spec{Codec: packing, Records: keyed("a!", "b=2", "c!")}
		deletes.Records[2].Timestamp = batchtest.Timestamp + 5
		l := segments(t, disk, list(batch("a=1", "b=1")), list(deletes), list(batch("z=1")))
		how := partition.Compaction{DeleteRetention: time.Minute}
		at := func(d time.Duration) []string {
			compact(t, l, now.Add(d), how)
			return words(t, l)
		}
		all := []string{"2:a!", "3:b=2", "4:c!", "5:z=1"}
		require.Equal(t, all, at(0))
		raw, err := l.Read(nil, 2, 3, 0, true)
		require.NoError(t, err)
		require.Empty(t, raw, "the batch ends behind the limit")
		raw, err = l.Read(nil, 2, 5, 0, true)
		require.NoError(t, err)
		b := partition.Batch(raw)
		require.Equal(t, now.Add(time.Minute).UnixMilli(), b.BaseTimestamp())
		require.NotZero(t, b.Attributes()&(1<<6))
		require.Equal(t, packing, b.Codec())
		require.Equal(t, int64(batchtest.Timestamp+5), b.MaxTimestamp())
		for i, r := range recordsOf(t, b) {
			require.Equal(t, []int64{batchtest.Timestamp, batchtest.Timestamp, batchtest.Timestamp + 5}[i], r.ms)
		}
		require.Equal(t, all, at(time.Minute-time.Millisecond), "the horizon is set once")
		require.Equal(t, []string{"3:b=2", "5:z=1"}, at(time.Minute))
		require.Equal(t, []string{"3:b=2", "5:z=1"}, at(time.Hour))
	}
}

// The retention of a tombstone begins when it is compacted, not when it is written
// or lies in a segment that is.
func TestATombstoneBeyondTheMapHasNoHorizon(t *testing.T) {
	l := segments(t, vfs.NewMem(0), list(batch("a=1", "b=1", "c=1", "d=1", "e=1"), batch("f=1", "g=1", "a!")), list(batch("z=1")))
	done, err := partition.NewCleaner(1).Compact(l, now, partition.Compaction{Committed: 9})
	require.NoError(t, err)
	require.EqualValues(t, 6, done.To, "within the batch")
	raw, err := l.Read(nil, 5, 9, math.MaxInt32, true)
	require.NoError(t, err)
	require.Zero(t, partition.Batch(raw).Attributes()&(1<<6))
}

// Of a transaction it is not known whether it was aborted.
func TestTransactionsMakeNothingObsolete(t *testing.T) {
	marker := batchtest.Spec{Control: true, Transactional: true, Producer: &batchtest.Producer{ID: 1, Sequence: -1}, Records: keyed("k=commit")}
	txn := func(words ...string) batchtest.Spec {
		return batchtest.Spec{Transactional: true, Producer: &batchtest.Producer{ID: 1}, Records: keyed(words...)}
	}
	l := segments(t, vfs.NewMem(0), list(batch("a=1", "b=1"), txn("a=2", "c!", "b=2"), marker, batch("b=3")), list(batch("z=1")))
	want := []string{"0:a=1", "2:a=2", "3:c!", "5:k=commit", "6:b=3", "7:z=1"}
	for range 2 {
		compact(t, l, now, partition.Compaction{})
		require.Equal(t, want, words(t, l))
	}
}

// The work on each record takes no memory of its own.
func TestCompactionAllocatesLittle(t *testing.T) {
	if !countAllocations {
		t.Skip("the race detector allocates too")
	}
	few, many := compactionAllocations(t, 50), compactionAllocations(t, 1000)
	require.Less(t, many, few+1000, "for 19,000 records more")
}

func compactionAllocations(t *testing.T, batches int) uint64 {
	spec := batch("a=1", "b=2", "c=3", "d=4", "e=5", "f=6", "g=7", "h=8", "i=9", "j=10", "k!", "l=1", "m=2", "n=3", "o=4", "p=5", "q=6", "r=7", "s=8", "t=9")
	specs := make([]batchtest.Spec, batches)
	for i := range specs {
		specs[i] = spec
	}
	l := segments(t, vfs.NewMem(0), specs, list(batch("z=1")))
	cleaner := partition.NewCleaner(1 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done, err := cleaner.Compact(l, now, partition.Compaction{Committed: l.LogEndOffset()})
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.EqualValues(t, 20, done.RecordsAfter)
	return after.Mallocs - before.Mallocs
}
