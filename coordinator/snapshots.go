package coordinator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/brokersim/brokersim/internal/vfs"
)

// snapshots keeps the newest few snapshots, one file each:
//
//	magic(4) crc(4) | version index term configurationIndex size, uvarints,
//	the configuration with its length before it | the state, size bytes
//
// The CRC-32C covers all that follows it. A file gets its name only when it is
// whole and synced, so a crash leaves a snapshot or none. It is safe for
// concurrent use; no lock is held while the disk is used.
type snapshots struct {
	fs vfs.FS
	// installed is told of each snapshot before Raft builds on it.
	installed func(index uint64) error
	// failed is told when the disk takes no snapshot: Raft would try for ever.
	failed func(error)

	mu   sync.Mutex
	list []*raft.SnapshotMeta // newest first
}

const (
	snapshotPrefix = "snapshot-"
	snapshotMagic  = "BSRS"
	snapshotsKept  = 2
)

func openSnapshots(disk vfs.FS, installed func(uint64) error, failed func(error)) (*snapshots, error) {
	s := &snapshots{fs: disk, installed: installed, failed: failed}
	names, err := disk.List(".")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch {
		case !strings.HasPrefix(name, snapshotPrefix):
		case strings.HasSuffix(name, ".tmp"):
			if err := disk.Remove(name); err != nil {
				return nil, err
			}
		default:
			// A rotten snapshot is passed over: an older one may do, and the store
			// says so if it does not.
			if meta, _, err := s.read(name); err == nil {
				s.list = append(s.list, meta)
			}
		}
	}
	slices.SortFunc(s.list, func(a, b *raft.SnapshotMeta) int { return strings.Compare(b.ID, a.ID) })
	return s, nil
}

// newest is the index that the newest snapshot ends at, 0 if there is none.
func (s *snapshots) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return 0
	}
	return s.list[0].Index
}

// List returns the snapshots, the newest first.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list), nil
}

// Open reads one snapshot, checks it and hands out its state.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, state, err := s.read(id)
	if err != nil {
		return nil, nil, err
	}
	return meta, io.NopCloser(bytes.NewReader(state)), nil
}

// Create begins a snapshot. Nothing is on disk before the sink is closed.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, servers raft.Configuration,
	serversIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("snapshots of version %d are not supported", version)
	}
	return &snapshotSink{store: s, meta: raft.SnapshotMeta{
		Version: version,
		// Names sort by index, then term.
		ID:    fmt.Sprintf("%s%020d-%020d", snapshotPrefix, index, term),
		Index: index, Term: term,
		Configuration: servers, ConfigurationIndex: serversIndex,
	}}, nil
}

func (s *snapshots) read(id string) (*raft.SnapshotMeta, []byte, error) {
	f, err := s.fs.Open(id)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := readAll(f)
	if err != nil {
		return nil, nil, err
	}
	if len(b) < 8 || string(b[:4]) != snapshotMagic ||
		crc32.Checksum(b[8:], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return nil, nil, fmt.Errorf("%s is corrupt", id)
	}
	r := opReader{b: b[8:]}
	meta := &raft.SnapshotMeta{ID: id, Version: raft.SnapshotVersion(r.uvarint())}
	meta.Index, meta.Term, meta.ConfigurationIndex = r.uvarint(), r.uvarint(), r.uvarint()
	meta.Size = int64(r.uvarint())
	servers := r.bytes()
	if r.err != nil || meta.Size != int64(len(r.b)) {
		return nil, nil, fmt.Errorf("%s is corrupt", id)
	}
	meta.Configuration = raft.DecodeConfiguration(servers)
	return meta, r.b, nil
}

// snapshotSink gathers one snapshot in memory, where its state came from anyway.
type snapshotSink struct {
	store *snapshots
	meta  raft.SnapshotMeta
	state bytes.Buffer
	done  bool
}

func (k *snapshotSink) ID() string                  { return k.meta.ID }
func (k *snapshotSink) Write(b []byte) (int, error) { return k.state.Write(b) }
func (k *snapshotSink) Cancel() error               { k.done = true; return nil }

// Close makes the snapshot durable, then forgets the ones that are too many.
func (k *snapshotSink) Close() error {
	if k.done {
		return nil
	}
	k.done = true
	k.meta.Size = int64(k.state.Len())
	f, err := writeDurably(k.store.fs, k.meta.ID, k.encode())
	if err != nil {
		err = fmt.Errorf("the disk of this coordinator node failed: %w", err)
		k.store.failed(err)
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return k.store.add(&k.meta)
}

func (k *snapshotSink) encode() []byte {
	b := append([]byte(snapshotMagic), 0, 0, 0, 0)
	for _, v := range []uint64{uint64(k.meta.Version), k.meta.Index, k.meta.Term, k.meta.ConfigurationIndex, uint64(k.meta.Size)} {
		b = binary.AppendUvarint(b, v)
	}
	b = appendBytes(b, raft.EncodeConfiguration(k.meta.Configuration))
	b = append(b, k.state.Bytes()...)
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	return b
}

func (s *snapshots) add(meta *raft.SnapshotMeta) error {
	s.mu.Lock()
	s.list = slices.DeleteFunc(s.list, func(m *raft.SnapshotMeta) bool { return m.ID == meta.ID })
	s.list = append(s.list, meta)
	slices.SortFunc(s.list, func(a, b *raft.SnapshotMeta) int { return strings.Compare(b.ID, a.ID) })
	var old []*raft.SnapshotMeta
	if len(s.list) > snapshotsKept {
		old = slices.Clone(s.list[snapshotsKept:])
		s.list = s.list[:snapshotsKept]
	}
	s.mu.Unlock()
	if err := s.installed(meta.Index); err != nil {
		return err
	}
	for _, m := range old {
		_ = s.fs.Remove(m.ID) // what stays is found and removed after the next start
	}
	return nil
}
