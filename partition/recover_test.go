package partition_test

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

const (
	firstLog   = dir + "/00000000000000000000.log"
	firstIndex = dir + "/00000000000000000000.index"
	epochFile  = dir + "/leader-epoch-checkpoint"
)

// edit changes a file behind the log's back.
func edit(t testing.TB, disk vfs.FS, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := vfs.ReadFile(disk, name)
	require.NoError(t, err)
	require.NoError(t, vfs.WriteFileSynced(disk, name, change(b)))
}

// three is a closed log of three batches of one record, in the epochs 1, 1 and 2.
func three(t testing.TB, cfg partition.Config) *vfs.Mem {
	disk := vfs.NewMem(0)
	l := open(t, disk, cfg)
	for i, v := range []string{"a", "b", "c"} {
		appendTo(t, l, []int32{1, 1, 2}[i], v)
	}
	require.NoError(t, l.Close())
	return disk
}

var one = len(batchtest.NewBatch("a"))

func TestRecoveryCutsATornTail(t *testing.T) {
	zeros := make([]byte, 5000)
	wrong := map[string]bool{"zeros": true, "zeros in it": true, "garbage": true, "a flipped bit": true, "twos everywhere": true} // the rest is short
	for name, tail := range map[string][]byte{
		"nothing":         nil,
		"half a batch":    batchtest.At(3, 2, "d")[:65],
		"half a header":   batchtest.At(3, 2, "d")[:20],
		"zeros":           zeros,
		"few zeros":       zeros[:7],
		"zeros in it":     append(batchtest.At(3, 2, "d")[:66:66], make([]byte, 200)...),
		"garbage":         slices.Repeat([]byte{0xa5}, 999),
		"a huge length":   append([]byte{0, 0, 0, 0, 0, 0, 0, 3, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 2, 2}, zeros...),
		"a flipped bit":   func() []byte { b := batchtest.At(3, 2, "d"); b[66] ^= 1; return b }(),
		"twos everywhere": slices.Repeat([]byte{2}, 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			disk := three(t, partition.Config{})
			edit(t, disk, firstLog, func(b []byte) []byte { return append(b, tail...) })
			for _, torn := range []int{len(tail), 0} { // the second start finds nothing more
				l, found, err := partition.Open(disk, dir, partition.Config{})
				require.NoError(t, err)
				_, whole := wrong[name]
				require.Equal(t, partition.Recovery{LogEndOffset: 3, TornBytes: int64(torn), Garbled: whole && torn > 0}, found)
				require.Equal(t, []string{"a", "b", "c"}, values(t, l, 0))
				require.NoError(t, l.Close())
			}
			l := open(t, disk, partition.Config{})
			appendTo(t, l, 3, "d")
			require.Equal(t, []string{"a", "b", "c", "d"}, values(t, l, 0))
		})
	}
}

func TestDamageInTheMiddleIsNoTornTail(t *testing.T) {
	flip := func(at int) func(b []byte) []byte {
		return func(b []byte) []byte { b[one+at] ^= 0x10; return b }
	}
	for name, change := range map[string]func(b []byte) []byte{
		"a record":      flip(66),
		"the checksum":  flip(18),
		"the length":    flip(11),
		"a huge length": flip(8),
		"the base":      flip(7),
		"the format":    flip(16),
		"cut out":       func(b []byte) []byte { return slices.Delete(b, one, 2*one) },
		"bytes lost":    func(b []byte) []byte { return slices.Delete(b, one+10, one+20) },
		"twice":         func(b []byte) []byte { return slices.Insert(b, one, b[:one]...) },
	} {
		t.Run(name, func(t *testing.T) {
			disk := three(t, partition.Config{})
			edit(t, disk, firstLog, change)
			l, found, err := partition.Open(disk, dir, partition.Config{})
			require.NoError(t, err)
			defer l.Close()
			require.Len(t, found.Corrupt, 1)
			require.ErrorIs(t, found.Corrupt[0], metadata.ErrCorruptMessage)
			require.Equal(t, firstLog, found.Corrupt[0].File)
			require.EqualValues(t, one, found.Corrupt[0].Offset)
			require.NotEmpty(t, found.Corrupt[0].Why)
			require.EqualValues(t, 1, found.LogEndOffset)
			require.Equal(t, []string{"a"}, values(t, l, 0))
			require.Equal(t, []partition.EpochStart{{Epoch: 1, Offset: 0}}, l.Epochs())
		})
	}
}

// A flipped bit in an epoch makes its batch look newer than the ones behind it,
// and no checksum covers it.
func TestAnEpochThatGoesBackIsDamage(t *testing.T) {
	disk := three(t, partition.Config{})
	edit(t, disk, firstLog, func(b []byte) []byte { b[13] ^= 1; return b })
	l, found, err := partition.Open(disk, dir, partition.Config{})
	require.NoError(t, err)
	defer l.Close()
	require.Len(t, found.Corrupt, 1)
	require.Zero(t, found.Corrupt[0].Offset)
}

func TestDamageOfWholeSegments(t *testing.T) {
	cfg := partition.Config{SegmentBytes: one}
	second, third := dir+"/00000000000000000001.log", dir+"/00000000000000000002.log"
	for name, c := range map[string]struct {
		damage func(t *testing.T, disk vfs.FS)
		end    int64
		file   string
	}{
		"a missing one": {func(t *testing.T, disk vfs.FS) { require.NoError(t, disk.Remove(second)) }, 1, third},
		"an empty one in the middle": {func(t *testing.T, disk vfs.FS) {
			edit(t, disk, second, func([]byte) []byte { return nil })
		}, 1, third},
		"a torn one in the middle": {func(t *testing.T, disk vfs.FS) {
			edit(t, disk, second, func(b []byte) []byte { return b[:30] })
		}, 1, second},
		"one that begins too early": {func(t *testing.T, disk vfs.FS) {
			edit(t, disk, firstLog, func(b []byte) []byte { return append(b, batchtest.At(1, 1, "b")...) })
		}, 2, second},
	} {
		t.Run(name, func(t *testing.T) {
			disk := three(t, cfg)
			c.damage(t, disk)
			l, found, err := partition.Open(disk, dir, cfg)
			require.NoError(t, err)
			require.Len(t, found.Corrupt, 1)
			require.Equal(t, c.file, found.Corrupt[0].File)
			require.Equal(t, c.end, l.LogEndOffset())
			appendTo(t, l, 2, "z")
			l, found = reopen(t, l, disk, cfg)
			require.Empty(t, found.Corrupt)
			require.Equal(t, c.end+1, l.LogEndOffset())
		})
	}
	t.Run("a torn last one, and an empty one", func(t *testing.T) {
		disk := three(t, cfg)
		edit(t, disk, third, func(b []byte) []byte { return b[:30] })
		_, err := disk.Create(dir + "/00000000000000000003.log")
		require.NoError(t, err)
		l, found, err := partition.Open(disk, dir, cfg)
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, partition.Recovery{LogEndOffset: 2, TornBytes: 30}, found)
	})
}

func TestEpochsAreRebuiltFromTheLog(t *testing.T) {
	want := []partition.EpochStart{{Epoch: 1, Offset: 0}, {Epoch: 2, Offset: 2}}
	for name, damage := range map[string]func(t *testing.T, disk vfs.FS){
		"missing": func(t *testing.T, disk vfs.FS) { require.NoError(t, disk.Remove(epochFile)) },
		"empty":   func(t *testing.T, disk vfs.FS) { edit(t, disk, epochFile, func([]byte) []byte { return nil }) },
		"torn": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func(b []byte) []byte { return b[:len(b)-2] })
		},
		"cut off": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func(b []byte) []byte { return b[:len(b)-4] })
		},
		"zeros": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func(b []byte) []byte { return make([]byte, len(b)) })
		},
		"stale": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func([]byte) []byte { return []byte("0\n1\n1 0\n") })
		},
		"ahead": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func([]byte) []byte { return []byte("0\n3\n1 0\n2 2\n7 3\n") })
		},
		"wrong": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func([]byte) []byte { return []byte("0\n2\n1 0\n2 1\n") })
		},
		"of a future version": func(t *testing.T, disk vfs.FS) {
			edit(t, disk, epochFile, func(b []byte) []byte { b[0] = '9'; return b })
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := three(t, partition.Config{})
			damage(t, disk)
			l, found, err := partition.Open(disk, dir, partition.Config{})
			require.NoError(t, err)
			require.Empty(t, found.Corrupt)
			require.Equal(t, want, l.Epochs())
			require.NoError(t, l.Close())
			b, err := vfs.ReadFile(disk, epochFile)
			require.NoError(t, err)
			require.Equal(t, "0\n2\n1 0\n2 2\n", string(b))
		})
	}
}

// KAFKA-16541: the power goes while the checkpoint is written, at any moment.
func TestPowerLossWhileAnEpochIsWritten(t *testing.T) {
	for seed := range uint64(50) {
		disk := vfs.NewMem(seed)
		var faults vfs.Faults
		cfg := partition.Config{FlushMessages: 1}
		l := open(t, vfs.WithFaults(disk, &faults), cfg)
		appendTo(t, l, 1, "a")
		ops := []vfs.Op{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir}
		faults.Fail(ops[seed%5], "", fs.ErrPermission)
		_ = l.StartEpoch(2)
		disk.PowerLoss()
		l, found, err := partition.Open(disk, dir, cfg)
		require.NoError(t, err)
		require.Equal(t, partition.Recovery{LogEndOffset: 1}, found)
		require.Equal(t, []partition.EpochStart{{Epoch: 1, Offset: 0}}, l.Epochs())
		require.NoError(t, l.Close())
	}
}

// What recovery cuts off may be valid. It must not come back behind what is
// appended in its place.
func TestWhatRecoveryCutsOffStaysAway(t *testing.T) {
	sized := func(offset int64, value string) []byte {
		return batchtest.At(offset, 1, value+strings.Repeat(".", 1024-one))
	}
	for seed := range uint64(100) {
		disk := vfs.NewMem(seed)
		l := open(t, disk, partition.Config{})
		_, err := l.AppendAsFollower(slices.Concat(sized(0, "a"), sized(1, "b"), sized(2, "c")), 1)
		require.NoError(t, err)
		require.NoError(t, l.Sync())
		edit(t, disk, firstLog, func(b []byte) []byte { b[1100] ^= 1; return b })
		l, found := reopen(t, l, disk, partition.Config{})
		require.Len(t, found.Corrupt, 1)
		_, err = l.AppendAsLeader(sized(1, "new"[:1]), 1, now)
		require.NoError(t, err)
		disk.PowerLoss()
		l, _, err = partition.Open(disk, dir, partition.Config{})
		require.NoError(t, err)
		require.LessOrEqual(t, l.LogEndOffset(), int64(2), "seed %d", seed)
		require.NoError(t, l.Close())
	}
}

func TestStraysAreSweptUp(t *testing.T) {
	disk := three(t, partition.Config{})
	for _, name := range []string{"00000000000000000099.index", "leader-epoch-checkpoint.tmp", "00000000000000000098.timeindex", "00000000000000000097.milestones", "notes"} {
		_, err := disk.Create(dir + "/" + name)
		require.NoError(t, err)
	}
	open(t, disk, partition.Config{})
	names, err := disk.List(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"00000000000000000000.index", "00000000000000000000.log",
		"00000000000000000000.milestones", "00000000000000000000.timeindex",
		"leader-epoch-checkpoint", "notes"}, names, "what is not ours stays")
}

// A bit that flips on the disk after recovery has looked at it is found by the
// read, for everything that this incarnation did not write itself.
func TestDamageIsDetectedOnRead(t *testing.T) {
	for at := range one {
		disk := three(t, partition.Config{})
		l := open(t, disk, partition.Config{})
		f, err := disk.Open(firstLog)
		require.NoError(t, err)
		var b [1]byte
		_, err = f.ReadAt(b[:], int64(one+at))
		require.NoError(t, err)
		_, err = f.WriteAt([]byte{b[0] ^ 0x40}, int64(one+at))
		require.NoError(t, err)

		got, err := l.Read(nil, 0, 3, 1<<20, true)
		require.NoError(t, err)
		if uncovered := at < 8 || at >= 12 && at < 16; uncovered && len(got) != one {
			continue // base offset and epoch: only some of it can be told
		}
		require.Equal(t, []string{"a"}, decode(t, got), "byte %d", at)
		_, err = l.Read(nil, 1, 3, 1<<20, true)
		require.ErrorIs(t, err, metadata.ErrCorruptMessage, "byte %d", at)
		require.NoError(t, l.Close())
	}
}

func TestAShortenedFileIsDetectedOnRead(t *testing.T) {
	disk := three(t, partition.Config{})
	l := open(t, disk, partition.Config{})
	f, err := disk.Open(firstLog)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(int64(one+20)))
	_, err = l.Read(nil, 1, 3, 1<<20, true)
	require.ErrorIs(t, err, metadata.ErrCorruptMessage)
}

// FuzzRecovery changes the files of a log at random: Open always answers, and what
// it serves afterwards is sound.
func FuzzRecovery(f *testing.F) {
	f.Add(uint16(10), []byte{0}, uint8(0), false)
	f.Add(uint16(90), []byte{255, 255, 255, 255}, uint8(0), true)
	f.Add(uint16(0), batchtest.At(0, 1, "x"), uint8(0), false)
	f.Add(uint16(150), make([]byte, 300), uint8(1), true)
	f.Add(uint16(2), []byte("9 9 9\n"), uint8(3), true)
	f.Add(uint16(3), []byte{1, 2, 3}, uint8(2), true)
	f.Add(uint16(150), []byte{0x41}, uint8(0), true)     // an epoch that looks newer
	f.Add(uint16(0), []byte{0x7f, 0xff}, uint8(4), true) // a time index that knows the future
	f.Add(uint16(5), []byte{1, 2, 3}, uint8(4), false)
	f.Add(uint16(30), []byte{0, 0, 9}, uint8(5), true) // a timestamp of a batch
	f.Add(uint16(20), []byte{1}, uint8(16+6), true)    // a snapshot that is not what it was
	f.Add(uint16(0), []byte{}, uint8(16+6), true)
	f.Fuzz(func(t *testing.T, at uint16, with []byte, file uint8, replace bool) {
		cfg := partition.Config{SegmentBytes: 3 * one, IndexIntervalBytes: 10}
		disk := vfs.NewMem(0)
		l := open(t, disk, cfg)
		var sent []string
		for i := range 8 {
			sent = append(sent, fmt.Sprint(i))
			appendTo(t, l, int32(i/4), sent[i])
		}
		trusting := file >= 16
		if !trusting {
			require.NoError(t, l.Distrust())
		}
		require.NoError(t, l.Close())
		names := []string{firstLog, dir + "/00000000000000000003.log", firstIndex, epochFile, firstTimeIndex, firstLog}
		if trusting {
			names = append(names, dir+"/00000000000000000006.snapshot")
		}
		name := names[int(file)%16%len(names)]
		edit(t, disk, name, func(b []byte) []byte {
			i := min(int(at), len(b))
			j := i
			if replace {
				j = min(i+len(with), len(b))
			}
			return slices.Replace(b, i, j, with...)
		})
		l, found, err := partition.Open(disk, dir, cfg)
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, found.LogEndOffset, l.LogEndOffset())
		got, err := l.Read(nil, 0, 1<<40, 1<<20, true)
		if trusting && err != nil { // not looked at before it is asked for
			require.ErrorIs(t, err, metadata.ErrCorruptMessage)
			return
		}
		require.NoError(t, err)
		next := int64(0)
		for b := range partition.Batches(got) {
			require.Equal(t, b.Checksum(), b.CRC())
			require.Equal(t, next, b.BaseOffset())
			next = b.NextOffset()
		}
		if trusting && next < l.LogEndOffset() {
			_, err := l.Read(nil, next, 1<<40, 1<<20, true)
			require.ErrorIs(t, err, metadata.ErrCorruptMessage)
			return
		}
		require.Equal(t, l.LogEndOffset(), next)
		first, err := l.OffsetForTime(batchtest.Timestamp)
		require.NoError(t, err)
		require.Equal(t, next == 0, first == partition.NoTimedOffset)
		if next > 0 {
			require.Zero(t, first.Offset)
		}
		_, err = l.AppendAsLeader(batchtest.NewBatch("more"), math.MaxInt32, now)
		require.NoError(t, err)
	})
}
