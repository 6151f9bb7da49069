//go:build !wasip1

package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
)

// boltStore keeps Raft's log, term and vote in one database file, with the newest
// entries in memory too, and the snapshots beside it. The database writes and syncs by
// itself: gate and faults of the disk meet a transaction as a whole, before it begins, and
// nothing is written by an incarnation that is paused or dead.
//
// As with store, a failure of the real disk ends the node, and the goroutine that wanted
// to save a term.
type boltStore struct {
	*raft.LogCache // which reads and writes the database
	db             *raftboltdb.BoltStore
	snaps          *snapshots
	gate           *gate.Gate
	disk           vfs.FS // that the database is on
	name           string // of its file
	failed         func(error)

	mu     sync.Mutex
	broken error // the first failure
}

const (
	cachedEntries = 512
	// openPatience is how long the database may be in use by an incarnation that is ending.
	openPatience = 5 * time.Second
)

// openDatabase opens the node's database, or creates it in a new directory. A directory
// that has lost its database is refused: its node would forget whom it has voted for.
func openDatabase(n *Node) (durable, error) {
	if err := n.cfg.Gate.Pass(); err != nil {
		return nil, err
	}
	known, err := identify(n.cfg.FS, n.cfg.ClusterID, n.cfg.ID)
	if err == nil && known {
		if info, e := os.Stat(n.cfg.Database); e != nil || info.Size() == 0 {
			err = errors.New("the database is gone: restore it, or use another directory for a new cluster")
		}
	}
	s := &boltStore{gate: n.cfg.Gate, disk: n.cfg.FS, name: filepath.Base(n.cfg.Database), failed: n.fail}
	if err == nil {
		err = walkBolt(n.cfg.Database)
	}
	if err == nil {
		s.db, err = openBolt(n.cfg.Database)
	}
	if err == nil {
		if err = checkBolt(s.db); err == nil {
			err = s.prepare(n, known)
		}
		if err != nil {
			s.db.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.cfg.Database, err)
	}
	return s, nil
}

func (s *boltStore) prepare(n *Node, known bool) (err error) {
	if s.LogCache, err = raft.NewLogCache(cachedEntries, s.db); err != nil {
		return err
	}
	if s.snaps, err = openSnapshots(n.cfg.FS, s.installed, n.fail); err != nil {
		return err
	}
	if err = s.reconcile(); err != nil || known {
		return err
	}
	return claim(n.cfg.FS, n.cfg.ClusterID, n.cfg.ID) // which makes the database's name durable, too
}

// openBolt answers a damaged file with an error: bbolt panics at some of them.
func openBolt(path string) (db *raftboltdb.BoltStore, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database is damaged: %v", p)
		}
	}()
	return raftboltdb.New(raftboltdb.Options{
		Path:                    path,
		MsgpackUseNewTimeFormat: true, // must stay as it is for the life of a file
		BoltOptions: &bbolt.Options{
			Timeout: openPatience, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		},
	})
}

// reconcile makes log and snapshots fit after a crash between the two.
func (s *boltStore) reconcile() error {
	first, err := s.db.FirstIndex()
	if err != nil {
		return err
	}
	snap := s.snaps.newest()
	if first > snap+1 {
		return fmt.Errorf("the log starts at entry %d, but the newest whole snapshot ends at %d", first, snap)
	}
	return s.installed(snap)
}

// installed drops a log that ends before a snapshot which came from another node:
// nothing says that the two agree.
func (s *boltStore) installed(snapshot uint64) error {
	last, err := s.db.LastIndex()
	if err != nil || last == 0 || last >= snapshot {
		return err
	}
	return s.DeleteRange(0, last)
}

func (s *boltStore) Snapshots() raft.SnapshotStore { return s.snaps }

func (s *boltStore) Close() error {
	_, _ = s.breakdown(errStoreClosed) // whatever failed before
	return s.db.Close()
}

// breakdown remembers the first failure and returns it.
func (s *boltStore) breakdown(err error) (first bool, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken, first = err, true
	}
	return first, s.broken
}

// write lets do write to the database, unless that is over.
func (s *boltStore) write(do func() error) error {
	err := s.gate.Pass()
	if err == nil {
		s.mu.Lock()
		err = s.broken
		s.mu.Unlock()
	}
	if err != nil {
		return err
	}
	if err = vfs.Strike(s.disk, vfs.OpWrite, "write", s.name); err == nil {
		err = vfs.Strike(s.disk, vfs.OpSync, "sync", s.name)
	}
	if err == nil {
		err = do()
	}
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, gate.ErrShut) {
		return err
	}
	first, err := s.breakdown(fmt.Errorf("the disk of this coordinator node failed: %w", err))
	if first {
		s.failed(err)
	}
	return err
}

// StoreLog appends one entry.
func (s *boltStore) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries. A gap before them means that a snapshot covers what is
// older: that is dropped first, for behind the gap it may differ from what was committed.
func (s *boltStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	return s.write(func() error {
		last, err := s.db.LastIndex()
		if err == nil && last != 0 && logs[0].Index > last+1 {
			err = s.LogCache.DeleteRange(0, last)
		}
		if err != nil {
			return err
		}
		return s.LogCache.StoreLogs(summed(logs))
	})
}

// DeleteRange deletes the entries from lo to hi, both included.
func (s *boltStore) DeleteRange(lo, hi uint64) error {
	return s.write(func() error { return s.LogCache.DeleteRange(lo, hi) })
}

// Set keeps a value. If that fails the calling goroutine ends; see store.Set.
func (s *boltStore) Set(key, val []byte) error {
	if err := s.write(func() error { return s.db.Set(key, val) }); err != nil {
		runtime.Goexit()
	}
	return nil
}

// Get returns a value, nil if there is none.
func (s *boltStore) Get(key []byte) ([]byte, error) {
	v, err := s.db.Get(key)
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, nil
	}
	return v, err
}

// SetUint64 is Set for numbers.
func (s *boltStore) SetUint64(key []byte, val uint64) error {
	if old, err := s.GetUint64(key); err == nil && old == val {
		return nil
	}
	return s.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

// GetUint64 returns a number, 0 if there is none.
func (s *boltStore) GetUint64(key []byte) (uint64, error) {
	v, err := s.Get(key)
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}
