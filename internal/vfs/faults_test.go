package vfs_test

import (
	"io"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
)

func TestFailsByOperationAndName(t *testing.T) {
	var faults vfs.Faults
	disk := vfs.WithFaults(vfs.NewMem(1), &faults)
	require.NoError(t, disk.MkdirAll("d"))
	write(t, disk, "d/a.log", "1")
	write(t, disk, "d/b.index", "1")
	a, err := disk.Open("d/a.log")
	require.NoError(t, err)
	b, err := disk.Open("d/b.index")
	require.NoError(t, err)

	heal := faults.Fail(vfs.OpSync|vfs.OpRead, "*.log", syscall.EIO)
	require.ErrorIs(t, a.Sync(), syscall.EIO)
	_, err = a.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, syscall.EIO)
	_, err = a.WriteAt([]byte("2"), 0)
	require.NoError(t, err, "another operation")
	require.NoError(t, b.Sync(), "another file")
	again := faults.Fail(vfs.OpSync, "d/a.log", io.ErrUnexpectedEOF) // its whole name
	heal()
	heal()
	require.ErrorIs(t, a.Sync(), io.ErrUnexpectedEOF)
	again()
	require.NoError(t, a.Sync())

	for op, call := range map[vfs.Op]func() error{
		vfs.OpOpen:     func() error { _, err := disk.Open("d/a.log"); return err },
		vfs.OpCreate:   func() error { _, err := disk.Create("d/c"); return err },
		vfs.OpRemove:   func() error { return disk.Remove("d/a.log") },
		vfs.OpRename:   func() error { return disk.Rename("d/a.log", "d/z") },
		vfs.OpMkdir:    func() error { return disk.MkdirAll("e") },
		vfs.OpList:     func() error { _, err := disk.List("d"); return err },
		vfs.OpSyncDir:  func() error { return disk.SyncDir("d") },
		vfs.OpTruncate: func() error { return a.Truncate(0) },
	} {
		heal := faults.Fail(op, "", syscall.EIO)
		require.ErrorIs(t, call(), syscall.EIO, "%b", op)
		heal()
	}
	require.Equal(t, "2", read(t, disk, "d/a.log"), "nothing of it had an effect")
}

func TestFullDiskAndShortWrites(t *testing.T) {
	var faults vfs.Faults
	mem := vfs.NewMem(1)
	disk := vfs.WithFaults(mem, &faults)
	f, err := disk.Create("f")
	require.NoError(t, err)
	heal := faults.Full()
	_, err = f.WriteAt([]byte("abc"), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	_, err = disk.Create("g")
	require.ErrorIs(t, err, syscall.ENOSPC)
	heal()
	heal = faults.ShortWrite("", 2)
	n, err := f.WriteAt([]byte("abc"), 0)
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, 2, n)
	require.Equal(t, "ab", read(t, mem, "f"))
	heal()
	_, err = f.WriteAt([]byte("abc"), 0)
	require.NoError(t, err)
}

// What a write meets, a write of shared memory meets.
func TestKeepingMeetsTheFaultsOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		mem, g := vfs.NewMem(1), gate.New()
		f, err := vfs.Gated(vfs.WithFaults(mem, &faults), g).Create("f")
		require.NoError(t, err)
		require.True(t, vfs.Keeps(f))
		s := slab.Of(pattern(2000))
		keep := func() (int, error) { return vfs.WriteSpanAt(f, s.Span(0, 1000), 0) }

		heal := faults.Full()
		n, err := keep()
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Zero(t, n)
		require.Empty(t, read(t, mem, "f"))
		heal()
		for _, bytes := range []int{2, 600, 5000} {
			heal := faults.ShortWrite("f", bytes)
			n, err := keep()
			require.ErrorIs(t, err, io.ErrShortWrite)
			require.Equal(t, min(bytes, 1000), n)
			require.Equal(t, string(pattern(n)), read(t, mem, "f"))
			heal()
			require.NoError(t, f.Truncate(0))
		}

		begin := time.Now()
		faults.SlowBy(time.Second, 0)
		_, err = keep()
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(begin))
		require.NoError(t, f.Truncate(0))
		time.AfterFunc(time.Millisecond, g.Shut)
		_, err = keep()
		require.ErrorIs(t, err, gate.ErrShut, "it was slow, and is late")
		require.Empty(t, read(t, mem, "f"))
		_, err = keep()
		require.ErrorIs(t, err, gate.ErrShut)
		require.Equal(t, string(pattern(2000)), string(s.Memory()))
	})
}

func TestASlowDiskTakesVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		disk := vfs.WithFaults(vfs.NewMem(1), &faults)
		f, err := disk.Create("f")
		require.NoError(t, err)
		defer faults.SlowBy(time.Second, time.Hour)()
		begin := time.Now()
		_, err = f.WriteAt([]byte("a"), 0)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(begin))
		faults.SlowBy(time.Second, 0)
		_, err = f.WriteAt([]byte("b"), 1)
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, time.Since(begin), "two faults add up")

		var slow sync.WaitGroup
		slow.Go(func() { require.NoError(t, f.Sync()) })
		time.Sleep(time.Minute)
		require.Equal(t, "ab", read(t, disk, "f"), "nobody waits for a sync but who asked for it")
		slow.Wait()
	})
}

// What waits for a slow disk is let go when the disk is healed, or its node ends.
func TestNobodyWaitsForASlownessThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		g := gate.New()
		disk := vfs.Gated(vfs.WithFaults(vfs.NewMem(1), &faults), g)
		f, err := disk.Create("f")
		require.NoError(t, err)
		begin := time.Now()
		heal := faults.SlowBy(time.Hour, time.Hour)
		time.AfterFunc(time.Second, heal)
		_, err = f.WriteAt([]byte("a"), 0)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(begin))

		faults.SlowBy(0, time.Hour)
		time.AfterFunc(time.Second, g.Shut)
		require.ErrorIs(t, f.Sync(), gate.ErrShut)
		require.Equal(t, 2*time.Second, time.Since(begin))
	})
}

// A write that is under way when its incarnation ends, or is paused, has no effect
// afterwards, or before it goes on.
func TestASlowWriteOfADeadIncarnationNeverArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		mem, g := vfs.NewMem(1), gate.New()
		disk := vfs.Gated(vfs.WithFaults(mem, &faults), g)
		f, err := disk.Create("f")
		require.NoError(t, err)
		faults.SlowBy(time.Second, 0)
		var writers sync.WaitGroup
		writers.Go(func() {
			_, err := f.WriteAt([]byte("paused"), 0)
			require.NoError(t, err)
		})
		synctest.Wait()
		g.Pause()
		time.Sleep(time.Minute)
		require.Empty(t, read(t, mem, "f"))
		g.Resume()
		writers.Wait()
		require.Equal(t, "paused", read(t, mem, "f"))

		writers.Go(func() {
			_, err := f.WriteAt([]byte("late"), 0)
			require.ErrorIs(t, err, gate.ErrShut)
		})
		synctest.Wait()
		g.Shut()
		writers.Wait()
		require.Equal(t, "paused", read(t, mem, "f"))
	})
}

// A fault can wait for its turn, and be over after it.
func TestAFaultStrikesTheNthOperation(t *testing.T) {
	var faults vfs.Faults
	mem := vfs.NewMem(1)
	disk := vfs.WithFaults(mem, &faults)
	f, err := disk.Create("f")
	require.NoError(t, err)
	heal := faults.Inject(vfs.Fault{Ops: vfs.OpWrite, Err: syscall.ENOSPC, Keep: 1, After: 2, Times: 2})
	defer heal()
	var failed []int
	for i := range 6 {
		if _, err := f.WriteAt([]byte("ab"), int64(2*i)); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			failed = append(failed, i)
		}
	}
	require.Equal(t, []int{2, 3}, failed)
	require.Equal(t, "ababa\x00a\x00abab", read(t, mem, "f"))
}

// What is held waits for its release, and if its incarnation ends first it has no effect.
func TestWhatIsHeldNeverArrivesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults vfs.Faults
		mem, g := vfs.NewMem(1), gate.New()
		disk := vfs.Gated(vfs.WithFaults(mem, &faults), g)
		f, err := disk.Create("f")
		require.NoError(t, err)
		for _, dies := range []bool{false, true} {
			held, release := faults.Hold(vfs.OpWrite, "f")
			var writer sync.WaitGroup
			writer.Go(func() {
				_, err := f.WriteAt([]byte{'0', byte('a')}, 0)
				require.Equal(t, dies, err != nil)
			})
			<-held
			time.Sleep(time.Hour)
			if dies {
				g.Shut()
				writer.Wait()
			}
			require.Equal(t, dies, read(t, mem, "f") != "", "only the first one arrived")
			release()
			writer.Wait()
			require.Equal(t, "0a", read(t, mem, "f"))
		}
	})
}

// Who writes a file by himself asks for the faults of its disk.
func TestFaultsOfAFileThatIsWrittenElsewhere(t *testing.T) {
	var faults vfs.Faults
	g := gate.New()
	disk := vfs.Gated(vfs.WithFaults(vfs.NewMem(1), &faults), g)
	require.NoError(t, vfs.Strike(disk, vfs.OpWrite, "write", "raft.db"))
	require.NoError(t, vfs.Strike(vfs.NewMem(1), vfs.OpWrite, "write", "raft.db"))
	heal := faults.Full()
	require.ErrorIs(t, vfs.Strike(disk, vfs.OpWrite, "write", "raft.db"), syscall.ENOSPC)
	heal()
	g.Shut()
	require.ErrorIs(t, vfs.Strike(disk, vfs.OpWrite, "write", "raft.db"), gate.ErrShut)
}
