package coordinator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/brokersim/brokersim/internal/vfs"
)

// durable is all that Raft keeps: its log, its term and vote, its snapshots.
// Everything is durable before a call returns. store keeps them on any vfs.FS,
// boltStore in a database file of the real machine.
type durable interface {
	raft.LogStore
	raft.StableStore
	Snapshots() raft.SnapshotStore
	Close() error
}

// store keeps Raft's log, term and vote in one journal, and a copy in memory that
// all reads are served from. Raft bounds the log by its snapshots, so the copy is small.
//
// A disk that fails ends the node: failed is told once, and what was asked of the
// store fails from then on. Raft itself would panic, and with it the user's process,
// if its term could not be saved; so the goroutine that wanted to save it ends instead
// (runtime.Goexit), which is what a crash of the node would have done to it.
//
// Calls that write take turns; readers never wait for the disk.
type store struct {
	writing chan struct{} // one slot: held while the journal is written
	journal *journal
	snaps   *snapshots
	failed  func(error)
	broken  error // under writing: the first failure of the disk
	garbage int   // under writing: bytes of the journal that a rewrite would drop

	mu    sync.Mutex
	first uint64     // index of log[0]
	log   []raft.Log // dense
	kept  map[string][]byte
}

// rewriteAt is how many bytes of the journal may be dead before it is rewritten.
const rewriteAt = 1 << 20

// openStore opens what disk holds. failed is called, on a goroutine of the caller of
// a later method, when the disk breaks.
func openStore(disk vfs.FS, failed func(error)) (*store, error) {
	s := &store{writing: make(chan struct{}, 1), failed: failed, kept: map[string][]byte{}}
	var err error
	if s.snaps, err = openSnapshots(disk, s.installed, failed); err != nil {
		return nil, err
	}
	if s.journal, err = openJournal(disk, s.replay); err != nil {
		return nil, err
	}
	if err := s.reconcile(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// reconcile makes log and snapshots fit after a crash between the two.
func (s *store) reconcile() error {
	snap := s.snaps.newest()
	first, last := s.bounds()
	switch {
	case last != 0 && last < snap:
		return s.installed(snap)
	case first > snap+1:
		return fmt.Errorf("the log starts at entry %d, but the newest whole snapshot ends at %d", first, snap)
	}
	return nil
}

func (s *store) Snapshots() raft.SnapshotStore { return s.snaps }

func (s *store) Close() error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if s.broken == nil {
		s.broken = errStoreClosed
	}
	return s.journal.close()
}

var errStoreClosed = errors.New("the store is closed")

// write makes ops durable, then shows them to readers.
func (s *store) write(ops []byte) error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if s.broken != nil {
		return s.broken
	}
	if err := s.journal.append(ops); err != nil {
		return s.breakdown(err)
	}
	if err := s.replay(ops); err != nil {
		return s.breakdown(err)
	}
	if s.garbage < rewriteAt {
		return nil
	}
	s.garbage = 0
	if err := s.journal.rewrite(s.everything()); err != nil {
		return s.breakdown(err)
	}
	return nil
}

// breakdown remembers that the disk failed: no later write can be trusted.
func (s *store) breakdown(err error) error {
	s.broken = fmt.Errorf("the disk of this coordinator node failed: %w", err)
	s.failed(s.broken)
	return s.broken
}

// everything is the state as one batch.
func (s *store) everything() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ops []byte
	for k, v := range s.kept {
		ops = appendKeep(ops, k, v)
	}
	for i := range s.log {
		ops = appendEntry(ops, &s.log[i])
	}
	return ops
}

func (s *store) bounds() (first, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) == 0 {
		return 0, 0
	}
	return s.first, s.first + uint64(len(s.log)) - 1
}

// FirstIndex is the index of the oldest entry, 0 if there is none.
func (s *store) FirstIndex() (uint64, error) { first, _ := s.bounds(); return first, nil }

// LastIndex is the index of the newest entry, 0 if there is none.
func (s *store) LastIndex() (uint64, error) { _, last := s.bounds(); return last, nil }

// GetLog fills log with an entry.
func (s *store) GetLog(index uint64, log *raft.Log) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) == 0 || index < s.first || index >= s.first+uint64(len(s.log)) {
		return raft.ErrLogNotFound
	}
	*log = s.log[index-s.first]
	return nil
}

// StoreLog appends one entry.
func (s *store) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries. A gap before them means that a snapshot covers what is
// older: that is dropped, for behind the gap it may differ from what was committed.
func (s *store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	var ops []byte
	if _, last := s.bounds(); last != 0 && logs[0].Index != last+1 {
		if logs[0].Index <= last {
			return fmt.Errorf("entry %d is there already; the newest is %d", logs[0].Index, last)
		}
		ops = appendDrop(ops, logs[0].Index)
	}
	for _, l := range logs {
		ops = appendEntry(ops, l)
	}
	return s.write(ops)
}

// DeleteRange deletes the entries from lo to hi, both included: a prefix that a
// snapshot covers, or a suffix that was never committed.
func (s *store) DeleteRange(lo, hi uint64) error {
	first, last := s.bounds()
	switch {
	case last == 0 || hi < first || lo > last:
		return nil
	case lo <= first:
		return s.write(appendDrop(nil, hi+1))
	case hi >= last:
		return s.write(appendCut(nil, lo))
	}
	return fmt.Errorf("entries %d to %d lie in the middle of %d to %d", lo, hi, first, last)
}

// installed drops a log that ends before a snapshot which came from another node:
// nothing says that the two agree.
func (s *store) installed(snapshot uint64) error {
	if _, last := s.bounds(); last == 0 || last >= snapshot {
		return nil
	}
	return s.write(appendDrop(nil, snapshot+1))
}

// Set keeps a value. If the disk fails the calling goroutine ends.
func (s *store) Set(key, val []byte) error {
	if err := s.write(appendKeep(nil, string(key), val)); err != nil {
		runtime.Goexit()
	}
	return nil
}

// Get returns a value, nil if there is none.
func (s *store) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[string(key)], nil // never written to
}

// SetUint64 is Set for numbers.
func (s *store) SetUint64(key []byte, val uint64) error {
	if old, _ := s.GetUint64(key); old == val {
		return nil
	}
	return s.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

// GetUint64 returns a number, 0 if there is none.
func (s *store) GetUint64(key []byte) (uint64, error) {
	v, _ := s.Get(key)
	if len(v) != 8 {
		return 0, nil
	}
	return binary.BigEndian.Uint64(v), nil
}

// replay applies the operations of one batch to memory.
func (s *store) replay(ops []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := opReader{b: ops}
	for len(r.b) > 0 && r.err == nil {
		before := len(r.b)
		switch op := r.byte(); op {
		case opEntry:
			r.entry(s)
		case opCut:
			if from := r.uvarint(); r.err == nil && from >= s.first {
				s.log = s.log[:min(from-s.first, uint64(len(s.log)))]
				s.garbage += 64
			}
		case opDrop:
			if below := r.uvarint(); r.err == nil && below > s.first {
				s.dropLocked(below)
			}
		case opKeep:
			k, v := r.bytes(), r.bytes()
			s.kept[string(k)] = slices.Clone(v)
			s.garbage += before - len(r.b)
		default:
			return fmt.Errorf("unknown operation %d", op)
		}
	}
	return r.err
}

func (s *store) dropLocked(below uint64) {
	n := int(min(below-s.first, uint64(len(s.log))))
	for i := range n {
		s.garbage += 32 + len(s.log[i].Data)
	}
	s.log = slices.Clone(s.log[n:]) // lets go of the dropped ones
	s.first += uint64(n)
}
