package coordinator

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/vfs"
)

func mustOpenStore(t require.TestingT, disk vfs.FS) *store {
	s, err := openStore(disk, func(err error) { panic(err) })
	require.NoError(t, err)
	return s
}

func entries(term uint64, from, to uint64) []*raft.Log {
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "entry %d of term %d", i, term)})
	}
	return logs
}

func requireEntry(t require.TestingT, s *store, term, index uint64) {
	var l raft.Log
	require.NoError(t, s.GetLog(index, &l))
	require.Equal(t, *entries(term, index, index)[0], l)
}

// What was promised survives: a process crash without closing, and power loss.
func TestStoreKeepsWhatItPromised(t *testing.T) {
	disk := vfs.NewMem(1)
	s := mustOpenStore(t, disk)
	require.NoError(t, s.StoreLogs(entries(1, 1, 5)))
	require.NoError(t, s.SetUint64([]byte("term"), 3))
	require.NoError(t, s.Set([]byte("vote"), []byte("coordinator-2")))
	require.NoError(t, s.DeleteRange(4, 5)) // a suffix that another leader never had
	require.NoError(t, s.StoreLogs(entries(3, 4, 9)))
	takeSnapshot(t, s, 2, 1, "two")
	require.NoError(t, s.DeleteRange(1, 2)) // a prefix that a snapshot covers
	disk.PowerLoss()

	s = mustOpenStore(t, disk)
	first, last := s.bounds()
	require.EqualValues(t, 3, first)
	require.EqualValues(t, 9, last)
	requireEntry(t, s, 1, 3)
	requireEntry(t, s, 3, 4)
	requireEntry(t, s, 3, 9)
	require.ErrorIs(t, s.GetLog(2, &raft.Log{}), raft.ErrLogNotFound)
	require.ErrorIs(t, s.GetLog(10, &raft.Log{}), raft.ErrLogNotFound)
	term, err := s.GetUint64([]byte("term"))
	require.NoError(t, err)
	require.EqualValues(t, 3, term)
	vote, err := s.Get([]byte("vote"))
	require.NoError(t, err)
	require.Equal(t, "coordinator-2", string(vote))
	require.NoError(t, s.Close())
}

func TestStoreIsRewrittenWhenMostOfItIsDead(t *testing.T) {
	disk := vfs.NewMem(1)
	s := mustOpenStore(t, disk)
	big := make([]byte, 64<<10)
	for i := uint64(1); i <= 64; i++ {
		require.NoError(t, s.StoreLog(&raft.Log{Index: i, Term: 1, Data: big}))
	}
	require.NoError(t, s.SetUint64([]byte("term"), 9))
	takeSnapshot(t, s, 60, 1, "sixty")
	require.NoError(t, s.DeleteRange(1, 60))
	size, err := s.journal.file.Size()
	require.NoError(t, err)
	require.Less(t, size, int64(5*len(big)))
	disk.PowerLoss()
	s = mustOpenStore(t, disk)
	first, last := s.bounds()
	require.EqualValues(t, 61, first)
	require.EqualValues(t, 64, last)
	term, _ := s.GetUint64([]byte("term"))
	require.EqualValues(t, 9, term)
	require.NoError(t, s.StoreLog(&raft.Log{Index: 65, Term: 9}))
}

// A torn tail was promised to nobody and is cut off; a hole in the middle is a lie
// of the disk, and the node must not go on as if it had never voted.
func TestStoreCutsATornTailAndRefusesAHole(t *testing.T) {
	write := func(disk vfs.FS) (ends []int64) {
		s := mustOpenStore(t, disk)
		for i := uint64(1); i <= 3; i++ {
			require.NoError(t, s.StoreLogs(entries(1, i, i)))
			ends = append(ends, s.journal.end)
		}
		require.NoError(t, s.Close())
		return ends
	}
	whole := vfs.NewMem(1)
	ends := write(whole)
	for cut := ends[1] + 1; cut < ends[2]; cut++ {
		disk := vfs.NewMem(1)
		write(disk)
		f, err := disk.Open(journalName)
		require.NoError(t, err)
		require.NoError(t, f.Truncate(cut))
		s := mustOpenStore(t, disk)
		_, last := s.bounds()
		require.EqualValues(t, 2, last)
		require.NoError(t, s.StoreLogs(entries(2, 3, 3)))
		require.NoError(t, s.Close())
		requireEntry(t, mustOpenStore(t, disk), 2, 3)
	}
	for at := int64(0); at < ends[1]; at++ {
		disk := vfs.NewMem(1)
		write(disk)
		f, err := disk.Open(journalName)
		require.NoError(t, err)
		flip(t, f, at)
		_, err = openStore(disk, func(error) {})
		require.ErrorContains(t, err, "corrupt")
	}
}

func flip(t *testing.T, f vfs.File, at int64) {
	b := make([]byte, 1)
	_, err := f.ReadAt(b, at)
	if !errors.Is(err, io.EOF) {
		require.NoError(t, err)
	}
	b[0] ^= 0x10
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

// A log that ends before a snapshot from elsewhere may hold what was never committed.
func TestInstalledSnapshotDropsAnOlderLog(t *testing.T) {
	disk := vfs.NewMem(1)
	s := mustOpenStore(t, disk)
	require.NoError(t, s.StoreLogs(entries(1, 1, 10)))
	takeSnapshot(t, s, 100, 5, "the state at 100")
	_, last := s.bounds()
	require.Zero(t, last)
	require.NoError(t, s.StoreLogs(entries(5, 101, 103)))
	first, _ := s.bounds()
	require.EqualValues(t, 101, first)

	// Without the snapshot being told of: the gap says the same.
	require.NoError(t, s.StoreLogs(entries(6, 200, 201)))
	first, last = s.bounds()
	require.EqualValues(t, 200, first)
	require.EqualValues(t, 201, last)
}

func takeSnapshot(t require.TestingT, s *store, index, term uint64, state string) {
	servers := raft.Configuration{Servers: []raft.Server{{ID: "1", Address: "coordinator-1:9091"}}}
	sink, err := s.Snapshots().Create(raft.SnapshotVersionMax, index, term, servers, 1, nil)
	require.NoError(t, err)
	_, err = io.WriteString(sink, state)
	require.NoError(t, err)
	require.NoError(t, sink.Close())
}

func TestSnapshotsSurviveAndTheNewestComesFirst(t *testing.T) {
	disk := vfs.NewMem(1)
	s := mustOpenStore(t, disk)
	require.NoError(t, s.StoreLogs(entries(1, 1, 40)))
	for i := uint64(10); i <= 40; i += 10 {
		takeSnapshot(t, s, i, 1, fmt.Sprintf("the state at %d", i))
	}
	sink, err := s.Snapshots().Create(raft.SnapshotVersionMax, 50, 1, raft.Configuration{}, 1, nil)
	require.NoError(t, err)
	require.NoError(t, sink.Cancel())
	disk.PowerLoss()

	s = mustOpenStore(t, disk)
	list, err := s.Snapshots().List()
	require.NoError(t, err)
	require.Len(t, list, snapshotsKept)
	require.EqualValues(t, 40, list[0].Index)
	require.EqualValues(t, 30, list[1].Index)
	meta, source, err := s.Snapshots().Open(list[0].ID)
	require.NoError(t, err)
	state, err := io.ReadAll(source)
	require.NoError(t, err)
	require.Equal(t, "the state at 40", string(state))
	require.Equal(t, "coordinator-1:9091", string(meta.Configuration.Servers[0].Address))
}

func TestRottenSnapshotIsPassedOver(t *testing.T) {
	disk := vfs.NewMem(1)
	s := mustOpenStore(t, disk)
	require.NoError(t, s.StoreLogs(entries(1, 1, 20)))
	takeSnapshot(t, s, 10, 1, "ten")
	takeSnapshot(t, s, 20, 1, "twenty")
	f, err := disk.Open(s.snaps.list[0].ID)
	require.NoError(t, err)
	flip(t, f, 30)
	require.NoError(t, s.Close())

	s = mustOpenStore(t, disk)
	require.EqualValues(t, 10, s.snaps.newest())
	require.NoError(t, s.DeleteRange(1, 15))
	require.NoError(t, s.Close())
	_, err = openStore(disk, func(error) {})
	require.ErrorContains(t, err, "the log starts at entry 16")
}

// TestStoreIsALog compares the store with a plain map through crashes of both kinds.
func TestStoreIsALog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := vfs.NewMem(rapid.Uint64().Draw(t, "seed"))
		s := mustOpenStore(t, disk)
		want := map[uint64]uint64{} // term by index
		first, last, term := uint64(1), uint64(0), uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				n := rapid.Uint64Range(1, 4).Draw(t, "n")
				require.NoError(t, s.StoreLogs(entries(term, last+1, last+n)))
				for i := last + 1; i <= last+n; i++ {
					want[i] = term
				}
				last += n
			},
			"cut": func(t *rapid.T) {
				if last < first {
					t.Skip("empty")
				}
				from := rapid.Uint64Range(first, last).Draw(t, "from")
				require.NoError(t, s.DeleteRange(from, last))
				for i := from; i <= last; i++ {
					delete(want, i)
				}
				last = from - 1
				term++
			},
			"drop": func(t *rapid.T) {
				if last < first {
					t.Skip("empty")
				}
				to := rapid.Uint64Range(first, last).Draw(t, "to")
				if to == last {
					t.Skip("a snapshot leaves something")
				}
				takeSnapshot(t, s, to, want[to], "state")
				require.NoError(t, s.DeleteRange(first, to))
				for i := first; i <= to; i++ {
					delete(want, i)
				}
				first = to + 1
			},
			"crash": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "power") {
					disk.PowerLoss()
				}
				s = mustOpenStore(t, disk)
			},
			"": func(t *rapid.T) {
				for i := uint64(1); i <= last+1; i++ {
					var l raft.Log
					if term, ok := want[i]; ok {
						requireEntry(t, s, term, i)
					} else {
						require.ErrorIs(t, s.GetLog(i, &l), raft.ErrLogNotFound)
					}
				}
			},
		})
	})
}

// Raft panics when its term cannot be saved; the goroutine that wanted to ends instead.
func TestBrokenDiskEndsTheGoroutineNotTheProcess(t *testing.T) {
	faults := &vfs.Faults{}
	var failures []error
	s, err := openStore(vfs.WithFaults(vfs.NewMem(1), faults), func(err error) { failures = append(failures, err) })
	require.NoError(t, err)
	heal := faults.Full()
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.SetUint64([]byte("CurrentTerm"), 2)
		returned = true
	}()
	<-done
	require.False(t, returned)
	heal()
	require.Error(t, s.StoreLogs(entries(1, 1, 1)), "what failed once is not trusted again")
	require.Len(t, failures, 1)
}
