package partition_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// A rotting is a log whose disk is about to rot, and what is true of it until then.
type rotting struct {
	disk      *vfs.Mem
	cfg       partition.Config
	log       *partition.Log
	from, end int64
	batches   map[int64]string        // what a read at each offset returns
	times     []partition.TimedOffset // what the times lead to
	epochs    []partition.EpochStart
	known     map[int64]string
	buf       []byte
}

// rottings are the shapes that a log can have: dense, with gaps that its own compaction has
// left, and with gaps in the active segment, as it copied them from a leader.
var rottings = map[string]func(t *testing.T) *rotting{
	"dense":     func(t *testing.T) *rotting { return rotten(t, false) },
	"compacted": func(t *testing.T) *rotting { return rotten(t, true) },
	"copied": func(t *testing.T) *rotting {
		from := rotten(t, true)
		w := &rotting{disk: vfs.NewMem(0), cfg: from.cfg}
		w.cfg.SegmentBytes = 500
		w.log = open(t, w.disk, w.cfg)
		for w.log.LogEndOffset() < from.end {
			b, err := from.log.Read(nil, w.log.LogEndOffset(), math.MaxInt64, 200, true)
			require.NoError(t, err)
			_, err = w.log.AppendAsFollower(b, math.MaxInt32)
			require.NoError(t, err)
		}
		w.look(t)
		return w
	},
}

// rotten is a log of several segments, epochs and producers, with batches of one record
// and of several, and timestamps that go up and down.
func rotten(t *testing.T, compacted bool) *rotting {
	w := &rotting{disk: vfs.NewMem(0), cfg: partition.Config{SegmentBytes: 300, IndexIntervalBytes: 150, Compacted: compacted}}
	w.log = open(t, w.disk, w.cfg)
	for i := range 9 {
		if i == 6 && compacted {
			require.Positive(t, compact(t, w.log, now, partition.Compaction{}).SegmentsLeft)
		}
		s := batchtest.Spec{Producer: &batchtest.Producer{ID: int64(i % 2), Sequence: int32(i / 2 * (1 + i%2))}}
		for j := range 1 + i%2 {
			s.Records = append(s.Records, batchtest.Record{
				Key: fmt.Append(nil, i*5%4-j), Value: []byte("a"), Timestamp: batchtest.Timestamp + int64(i*3%7+j)})
		}
		_, err := w.log.AppendAsLeader(s.Bytes(), int32(i/4), now)
		require.NoError(t, err)
	}
	w.look(t)
	return w
}

// look notes what is true.
func (w *rotting) look(t *testing.T) {
	l := w.log
	w.from, w.end, w.batches = l.LogStartOffset(), l.LogEndOffset(), map[int64]string{}
	for offset := w.from; offset < w.end; offset++ {
		b, err := l.Read(nil, offset, w.end, 1, true)
		require.NoError(t, err)
		w.batches[offset] = string(b)
	}
	w.epochs, w.known = l.Epochs(), partition.ProducerStates(l)
	w.times = w.times[:0]
	w.eachTime(l, func(found partition.TimedOffset, err error) {
		require.NoError(t, err)
		w.times = append(w.times, found)
	})
}

// eachTime looks everything up that a time may lead to.
func (w *rotting) eachTime(l *partition.Log, f func(partition.TimedOffset, error)) {
	for ms := int64(-1); ms < 10; ms += 2 {
		f(l.OffsetForTime(batchtest.Timestamp + ms))
	}
	for limit := w.from; limit <= w.end; limit += 3 {
		f(l.OffsetOfMaxTime(limit))
	}
}

// serves reports whether a log answers everything as it did; what it does not it answers
// with an error, or the test fails.
func (w *rotting) serves(t *testing.T, l *partition.Log, what string) (all bool) {
	all = true
	asked := func(same bool, err error) {
		if err != nil {
			require.ErrorIs(t, err, metadata.ErrCorruptMessage, what)
			all = false
		}
		if err == nil && !same {
			require.Fail(t, "what is wrong is served", what)
		}
	}
	end := min(w.end, l.LogEndOffset())
	for offset := w.from; offset < end; offset++ {
		var err error
		w.buf, err = l.Read(w.buf[:0], offset, end, 1, true)
		asked(w.batches[offset] == string(w.buf), err)
	}
	if end < w.end {
		return false
	}
	i := 0
	w.eachTime(l, func(found partition.TimedOffset, err error) {
		asked(found == w.times[i], err)
		i++
	})
	return all
}

// slower is larger where there is less time.
var slower = 1

// eachBit flips one bit after the other of the files that are wanted, and calls f. With a
// step of 3 that is at least two of each byte, and each of a field's.
func eachBit(t *testing.T, disk vfs.FS, step int, wanted func(name string) bool, f func(name, what string)) {
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if !wanted(name) {
			continue
		}
		b, err := vfs.ReadFile(disk, dir+"/"+name)
		require.NoError(t, err)
		for i := 0; i < 8*len(b); i += step * slower {
			at, bit := i/8, i%8
			flip(t, disk, name, at, b[at]^1<<bit)
			f(name, fmt.Sprintf("%s, byte %d, bit %d", name, at, bit))
			flip(t, disk, name, at, b[at])
		}
	}
}

func flip(t *testing.T, disk vfs.FS, name string, at int, b byte) {
	f, err := disk.Open(dir + "/" + name)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{b}, int64(at))
	require.NoError(t, err)
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// A bit flips anywhere in the batches of a log that is open. What is read is what was
// written, or an error, also where the checksum of a batch does not reach and offsets have gaps.
func TestEveryBitBelowAnOpenLog(t *testing.T) {
	for shape, made := range rottings {
		t.Run(shape, func(t *testing.T) {
			w := made(t)
			eachBit(t, w.disk, 1, isLog, func(_, what string) {
				require.False(t, w.serves(t, w.log, what), what)
			})
			require.True(t, w.serves(t, w.log, "as it was"))
		})
	}
}

// It flips while the log is closed, in any of its files: Open says so, or a read does, or it
// does no harm. It makes no difference how the log was closed, nor that no snapshot is left.
func TestEveryBitOfAClosedLog(t *testing.T) {
	ends := map[string]func(t *testing.T, w *rotting){
		"killed":       func(*testing.T, *rotting) {},
		"synced":       func(t *testing.T, w *rotting) { require.NoError(t, w.log.Sync()) },
		"closed":       func(t *testing.T, w *rotting) { require.NoError(t, w.log.Close()) },
		"checkpointed": func(t *testing.T, w *rotting) { require.NoError(t, w.log.Checkpoint(now)) },
		"distrusted":   func(t *testing.T, w *rotting) { require.NoError(t, w.log.Distrust()) },
	}
	for shape, made := range rottings {
		for end, stop := range ends {
			t.Run(shape+"/"+end, func(t *testing.T) {
				t.Parallel()
				w := made(t)
				stop(t, w)
				disk := cloneDir(t, w.disk, func(string) bool { return true })
				l, found := reopenClosed(t, cloneDir(t, disk, func(string) bool { return true }), w.cfg)
				require.Equal(t, partition.Recovery{LogEndOffset: w.end}, found)
				require.Equal(t, w.epochs, l.Epochs())
				w.known = partition.ProducerStates(l) // a snapshot may know of batches that a compaction has taken
				require.NoError(t, l.Close())
				eachBit(t, disk, 3, func(string) bool { return true }, func(name, what string) {
					w.reopens(t, copied(t, disk), name, what)
				})
			})
		}
	}
}

// copied is cloneDir without what makes that durable.
func copied(t *testing.T, disk vfs.FS) *vfs.Mem {
	to := vfs.NewMem(0)
	require.NoError(t, to.MkdirAll(dir))
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		b, err := vfs.ReadFile(disk, dir+"/"+name)
		require.NoError(t, err)
		f, err := to.Create(dir + "/" + name)
		require.NoError(t, err)
		_, err = f.WriteAt(b, 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	return to
}

// reopens opens a log one of whose files may have changed.
func (w *rotting) reopens(t *testing.T, disk vfs.FS, name, what string) {
	l, found, err := partition.Open(disk, dir, w.cfg)
	require.NoError(t, err, what)
	defer l.Close()
	said := len(found.Corrupt) > 0 || found.TornBytes > 0
	same := w.serves(t, l, what)
	require.True(t, same || said || isLog(name) && l.LogEndOffset() == w.end, "%s: %v", what, found)
	require.True(t, !same || !isLog(name), "%s: it is not noticed", what)
	if same {
		require.Equal(t, w.epochs, l.Epochs(), what)
		require.Equal(t, w.known, partition.ProducerStates(l), what)
	}
}
