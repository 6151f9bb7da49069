//go:build !wasip1

package coordinator

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
)

// onDisk is a node with a directory, not started.
func onDisk(t *testing.T, dir string, g *gate.Gate) *Node {
	t.Helper()
	disk, err := vfs.NewOS(dir)
	require.NoError(t, err)
	return &Node{cfg: Config{ID: 1, ClusterID: "a cluster", FS: disk, Database: filepath.Join(dir, "raft.db"), Gate: g}}
}

func mustOpenDatabase(t *testing.T, dir string) *boltStore {
	t.Helper()
	d, err := openDatabase(onDisk(t, dir, nil))
	require.NoError(t, err)
	return d.(*boltStore)
}

func requireBounds(t *testing.T, s *boltStore, first, last uint64) {
	t.Helper()
	f, err := s.FirstIndex()
	require.NoError(t, err)
	l, err := s.LastIndex()
	require.NoError(t, err)
	require.Equal(t, []uint64{first, last}, []uint64{f, l})
}

func snapshotAt(t *testing.T, s durable, index uint64) {
	t.Helper()
	sink, err := s.Snapshots().Create(raft.SnapshotVersionMax, index, 5, raft.Configuration{}, 1, nil)
	require.NoError(t, err)
	_, err = io.WriteString(sink, "the state")
	require.NoError(t, err)
	require.NoError(t, sink.Close())
}

func TestDatabaseKeepsWhatItPromised(t *testing.T) {
	dir := t.TempDir()
	s := mustOpenDatabase(t, dir)
	term, err := s.GetUint64([]byte("term"))
	require.NoError(t, err)
	require.Zero(t, term)
	require.NoError(t, s.StoreLogs(entries(1, 1, 5)))
	require.NoError(t, s.SetUint64([]byte("term"), 3))
	require.NoError(t, s.Set([]byte("vote"), []byte("coordinator-2")))
	require.NoError(t, s.DeleteRange(4, 5))
	require.NoError(t, s.StoreLogs(entries(3, 4, 9)))
	snapshotAt(t, s, 2)
	require.NoError(t, s.DeleteRange(1, 2))
	require.NoError(t, s.Close())

	s = mustOpenDatabase(t, dir)
	requireBounds(t, s, 3, 9)
	for _, want := range []*raft.Log{entries(1, 3, 3)[0], entries(3, 4, 4)[0], entries(3, 9, 9)[0]} {
		var l raft.Log
		require.NoError(t, s.GetLog(want.Index, &l))
		require.Equal(t, want.Data, l.Data)
		require.Equal(t, want.Term, l.Term)
	}
	require.ErrorIs(t, s.GetLog(2, new(raft.Log)), raft.ErrLogNotFound)
	term, err = s.GetUint64([]byte("term"))
	require.NoError(t, err)
	require.EqualValues(t, 3, term)
	vote, err := s.Get([]byte("vote"))
	require.NoError(t, err)
	require.Equal(t, "coordinator-2", string(vote))
	require.EqualValues(t, 2, s.snaps.newest())
	require.NoError(t, s.Close())
}

// A log that ends before a snapshot from elsewhere may hold what was never committed.
func TestDatabaseDropsALogThatASnapshotHasOvertaken(t *testing.T) {
	dir := t.TempDir()
	s := mustOpenDatabase(t, dir)
	require.NoError(t, s.StoreLogs(entries(1, 1, 10)))
	snapshotAt(t, s, 100)
	requireBounds(t, s, 0, 0)
	require.NoError(t, s.StoreLogs(entries(5, 101, 103)))
	requireBounds(t, s, 101, 103)
	require.NoError(t, s.StoreLogs(entries(6, 200, 201)), "without the snapshot being told of: the gap says the same")
	requireBounds(t, s, 200, 201)
	require.ErrorIs(t, s.GetLog(103, new(raft.Log)), raft.ErrLogNotFound)
	require.NoError(t, s.Close())
	_, err := openDatabase(onDisk(t, dir, nil))
	require.ErrorContains(t, err, "the log starts at entry 200, but the newest whole snapshot ends at 100")
}

// What a dead incarnation still wants to write is not written, and Raft does not panic over it.
func TestADeadIncarnationWritesNothing(t *testing.T) {
	dir, g := t.TempDir(), gate.New()
	d, err := openDatabase(onDisk(t, dir, g))
	require.NoError(t, err)
	g.Shut()
	require.ErrorIs(t, d.StoreLogs(entries(1, 1, 1)), gate.ErrShut)
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.SetUint64([]byte("term"), 2)
		returned = true
	}()
	<-done
	require.False(t, returned)
	require.NoError(t, d.Close())
	s := mustOpenDatabase(t, dir)
	requireBounds(t, s, 0, 0)
	require.NoError(t, s.Close())
}

func TestADirectoryThatIsNotTheNodesIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string, n *Node)
		says  string
	}{
		"another cluster": {func(_ *testing.T, _ string, n *Node) { n.cfg.ClusterID = "another" }, "belongs to another node"},
		"another node":    {func(_ *testing.T, _ string, n *Node) { n.cfg.ID = 2 }, "belongs to another node"},
		"no database": {func(t *testing.T, dir string, _ *Node) {
			require.NoError(t, os.Remove(filepath.Join(dir, "raft.db")))
		}, "the database is gone"},
		"an empty database": {func(t *testing.T, dir string, _ *Node) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "raft.db"), 0))
		}, "the database is gone"},
		"a damaged database": {func(t *testing.T, dir string, _ *Node) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "raft.db"), make([]byte, 1<<16), 0o600))
		}, "raft.db: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, mustOpenDatabase(t, dir).Close())
			n := onDisk(t, dir, nil)
			c.spoil(t, dir, n)
			_, err := openDatabase(n)
			require.ErrorContains(t, err, c.says)
		})
	}
}
