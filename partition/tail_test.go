package partition_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// rest gives the tail of a log back, so that its files have to answer.
func rest(l *partition.Log) {
	l.Rest()
	l.Rest()
}

// What is read from the tail is, byte for byte, what is read from the files.
func TestTheTailReadsAsTheFilesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tails := partition.NewTails(rapid.SampledFrom([]int64{0, 40 << 10, 1 << 30}).Draw(t, "room"))
		l, _, err := partition.Open(vfs.NewMem(1), dir, partition.Config{SegmentBytes: 4 << 20, Tails: tails})
		require.NoError(t, err)
		defer l.Close()
		sizes := rapid.SampledFrom([]int{10, 1000, 20_000, 80_000}).Draw(t, "about")
		for range rapid.IntRange(1, 40).Draw(t, "batches") {
			records := make([]batchtest.Record, rapid.IntRange(1, 4).Draw(t, "records"))
			records[0].Value = make([]byte, rapid.IntRange(0, 2*sizes).Draw(t, "size"))
			_, err := l.AppendAsLeader(batchtest.Spec{Records: records}.Bytes(), 1, now)
			require.NoError(t, err)
		}
		type question struct {
			from, limit int64
			max         int
			must        bool
		}
		var asked []question
		var answers [][]byte
		end := l.LogEndOffset()
		for range 30 {
			q := question{rapid.Int64Range(0, end).Draw(t, "from"), rapid.Int64Range(0, end).Draw(t, "limit"),
				rapid.IntRange(0, 5*sizes).Draw(t, "bytes"), rapid.Bool().Draw(t, "at least one")}
			got, err := l.Read([]byte("before"), q.from, q.limit, q.max, q.must)
			require.NoError(t, err)
			asked, answers = append(asked, q), append(answers, got)
		}
		rest(l)
		require.Zero(t, tails.Used(), "given back")
		for i, q := range asked {
			got, err := l.Read([]byte("before"), q.from, q.limit, q.max, q.must)
			require.NoError(t, err)
			require.True(t, bytes.Equal(got, answers[i]), "%+v: %d bytes from the file, %d from the tail", q, len(got), len(answers[i]))
		}
	})
}

// unreadable is a disk of which no batch can be read.
type unreadable struct{ vfs.FS }

func (d unreadable) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return unreadableFile{f}, err
}

type unreadableFile struct{ vfs.File }

func (unreadableFile) ReadAt([]byte, int64) (int, error) { return 0, fmt.Errorf("not to be read") }

// Who keeps up reads no file; what was cut off is not in the tail any more either.
func TestTheTailIsReadWithoutTheDisk(t *testing.T) {
	l := open(t, unreadable{vfs.NewMem(1)}, partition.Config{})
	for i := range int64(100) {
		appendTo(t, l, 1, fmt.Sprint(i))
		require.Equal(t, []string{fmt.Sprint(i)}, values(t, l, i))
	}
	require.Len(t, values(t, l, 3), 97)
	rest(l)
	_, err := l.Read(nil, 3, 100, 1<<20, true)
	require.ErrorIs(t, err, metadata.ErrStorage, "the file is asked again")
	appendTo(t, l, 1, "new")
	require.Equal(t, []string{"new"}, values(t, l, 100))
	require.NoError(t, l.Reset(200))
	appendTo(t, l, 2, "other")
	require.Equal(t, []string{"other"}, values(t, l, 200))
	_, err = l.Read(nil, 100, 201, 1<<20, true)
	require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
}

// Damage of the file is no news to who is served from memory, and is found by who is
// served from the file.
func TestTheTailDoesNotHideDamageFromTheFiles(t *testing.T) {
	disk := vfs.NewMem(0)
	l := open(t, disk, partition.Config{})
	for i := range 10 {
		appendTo(t, l, 1, fmt.Sprint(i))
	}
	f, err := disk.Open(dir + "/00000000000000000000.log")
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{0xff, 0xff}, 63)
	require.NoError(t, err)
	require.Equal(t, "0", values(t, l, 0)[0])
	rest(l)
	_, err = l.Read(nil, 0, 10, 1<<20, true)
	damage := new(partition.CorruptError)
	require.ErrorAs(t, err, &damage)
}

// What the follower of a log appends is not in the tail, and ends it.
func TestATailEndsWithItsLeadership(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	appendTo(t, l, 1, "a")
	appendTo(t, l, 1, "b")
	_, err := l.AppendAsFollower(batchtest.Spec{BaseOffset: 2, LeaderEpoch: 2, Records: []batchtest.Record{{Value: []byte("c")}}}.Bytes(), 2)
	require.NoError(t, err)
	appendTo(t, l, 3, "d")
	require.Equal(t, []string{"a", "b", "c", "d"}, values(t, l, 0))
	for i, want := range []string{"a", "b", "c", "d"} {
		require.Equal(t, want, values(t, l, int64(i))[0])
	}
}

// Readers, a writer, retreats and idle moments at once: nobody sees a byte that was
// not appended where it lies.
func TestTailUnderConcurrency(t *testing.T) {
	tails := partition.NewTails(64 << 10)
	l := open(t, vfs.NewMem(1), partition.Config{SegmentBytes: 512 << 10, Tails: tails})
	other := open(t, vfs.NewMem(1), partition.Config{Tails: tails}) // it shares the pools
	var stop atomic.Bool
	var all sync.WaitGroup
	for r := range 3 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(r)))
			var buf []byte
			for !stop.Load() {
				end := l.LogEndOffset()
				from := max(0, end-rng.Int64N(200))
				got, err := l.Read(buf[:0], from, end, 100_000, true)
				if err != nil {
					continue // it was cut off meanwhile
				}
				buf = got
				for b := range partition.Batches(got) {
					if b.Checksum() != b.CRC() || b.NextOffset() <= from {
						t.Errorf("from %d: a batch %d to %d that nobody appended", from, b.BaseOffset(), b.LastOffset())
						stop.Store(true)
						return
					}
					from = b.NextOffset()
				}
			}
		})
	}
	all.Go(func() {
		for !stop.Load() {
			if _, err := other.AppendAsLeader(batchtest.Sized(2, 700), 1, now); err != nil {
				t.Error(err)
			}
			if other.Size() > 4<<20 {
				other.Reset(0)
			}
			rest(other)
		}
	})
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 2000 {
		_, err := l.AppendAsLeader(batchtest.Sized(1+rng.IntN(3), 100+rng.IntN(5000)), 1, now)
		require.NoError(t, err)
		switch {
		case i%251 == 250:
			_, err := l.Truncate(max(0, l.LogEndOffset()-rng.Int64N(50)))
			require.NoError(t, err)
		case i%101 == 100:
			rest(l)
		}
	}
	stop.Store(true)
	all.Wait()
}

// A writeHeld disk lets each write of a log's batches go on when it is told to, and counts.
type writeHeld struct {
	vfs.FS
	let    chan struct{} // nil: at once
	writes atomic.Int64
	bytes  atomic.Int64
}

func (d *writeHeld) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &writeHeldFile{f, d}, err
}

type writeHeldFile struct {
	vfs.File
	disk *writeHeld
}

func (f *writeHeldFile) WriteAt(p []byte, at int64) (int, error) {
	f.disk.writes.Add(1)
	f.disk.bytes.Add(int64(len(p)))
	if f.disk.let != nil {
		<-f.disk.let
	}
	return f.File.WriteAt(p, at)
}

// What comes during a write shares the next one; nobody is told or shown anything
// before the write of it has returned, and a duplicate waits like its original.
func TestNeighboursShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &writeHeld{FS: vfs.NewMem(1)}
		l := open(t, disk, partition.Config{})
		require.NoError(t, l.StartEpoch(1))
		disk.let = make(chan struct{})
		disk.writes.Store(0)
		var acked atomic.Int64
		write := func(batch []byte) {
			go func() {
				info, err := l.AppendAsLeader(batch, 1, now)
				if err != nil || info.LastOffset >= l.LogEndOffset() {
					t.Errorf("acked %d, end %d: %v", info.LastOffset, l.LogEndOffset(), err)
				}
				acked.Add(1)
			}()
			synctest.Wait()
		}
		see := func(records int, acks int64) {
			t.Helper()
			synctest.Wait()
			require.Len(t, values(t, l, 0), records)
			require.EqualValues(t, records, l.LogEndOffset())
			require.Equal(t, acks, acked.Load())
		}
		idempotent := batchtest.Spec{Producer: &batchtest.Producer{ID: 7}, Records: []batchtest.Record{{Value: []byte("a")}}}
		write(batchtest.NewBatch("first"))
		write(idempotent.Bytes())
		write(idempotent.Bytes()) // sent again
		for i := range 14 {
			write(batchtest.NewBatch(fmt.Sprint(i)))
		}
		see(0, 0)
		disk.let <- struct{}{}
		see(1, 1)
		disk.let <- struct{}{}
		see(16, 17)
		require.EqualValues(t, 2, disk.writes.Load(), "one for the first, one for the fifteen that came meanwhile")
		close(disk.let)
	})
}

// A truncation, like all that changes more than the end, finds nothing half done: it
// waits for what is staged, and what is staged later waits for it.
func TestACutWaitsForWhatIsStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &writeHeld{FS: vfs.NewMem(1)}
		l := open(t, disk, partition.Config{})
		require.NoError(t, l.StartEpoch(1))
		appendTo(t, l, 1, "kept")
		disk.let = make(chan struct{})
		staged, err := l.Stage(batchtest.NewBatch("cut off"), 1, now)
		require.NoError(t, err)
		require.EqualValues(t, 1, l.LogEndOffset())
		cut := make(chan int64)
		go func() {
			from, err := l.Truncate(1)
			require.NoError(t, err)
			cut <- from
		}()
		synctest.Wait()
		appended := make(chan partition.AppendInfo)
		go func() {
			info, err := l.AppendAsLeader(batchtest.NewBatch("later"), 1, now)
			require.NoError(t, err)
			appended <- info
		}()
		synctest.Wait()
		close(disk.let)
		require.EqualValues(t, 2, <-cut)
		_, err = l.AwaitWritten(staged)
		require.NoError(t, err)
		require.EqualValues(t, 1, (<-appended).BaseOffset)
		require.Equal(t, []string{"kept", "later"}, values(t, l, 0))
	})
}

// A write that fails fails everybody whose batch was in it, or behind it.
func TestAWriteThatFailsFailsAllOfIt(t *testing.T) {
	var faults vfs.Faults
	l := open(t, vfs.WithFaults(vfs.NewMem(1), &faults), partition.Config{})
	appendTo(t, l, 1, "written")
	var staged []partition.AppendInfo
	for i := range 5 {
		info, err := l.Stage(batchtest.NewBatch(fmt.Sprint(i)), 1, now)
		require.NoError(t, err)
		staged = append(staged, info)
	}
	faults.Fail(vfs.OpWrite, "*.log", fmt.Errorf("broken"))
	for _, info := range staged {
		_, err := l.AwaitWritten(info)
		require.ErrorIs(t, err, metadata.ErrStorage)
	}
	require.Equal(t, []string{"written"}, values(t, l, 0))
	_, err := l.AppendAsLeader(batchtest.NewBatch("no more"), 1, now)
	require.ErrorIs(t, err, metadata.ErrStorage)
}

// Many producers, syncs, rolls and retreats of the disk: offsets come in order and
// every batch lies where its producer was told.
func TestConcurrentProducersFindTheirBatches(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{SegmentBytes: 20 << 10, FlushMessages: 7})
	const who, each = 8, 200
	var all sync.WaitGroup
	places := make([]map[int64]string, who)
	for p := range who {
		places[p] = map[int64]string{}
		all.Go(func() {
			for i := range each {
				value := fmt.Sprint(p, "-", i)
				info, err := appendWhole(l, batchtest.NewBatch(value), 1)
				if err != nil {
					t.Error(err)
					return
				}
				places[p][info.BaseOffset] = value
			}
		})
	}
	all.Go(func() {
		for range 50 {
			if err := l.Sync(); err != nil {
				t.Error(err)
			}
			l.Rest()
			time.Sleep(100 * time.Microsecond)
		}
	})
	all.Wait()
	got := values(t, l, 0)
	require.Len(t, got, who*each)
	for _, p := range places {
		for at, value := range p {
			require.Equal(t, value, got[at])
		}
	}
}
