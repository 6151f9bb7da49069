package partition_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

func (m *compacted) read(t *rapid.T) []placed { return readAll(t, m.log) }

// readAll reads a log in pieces, as a consumer does.
func readAll(t require.TestingT, l *partition.Log) (all []placed) {
	from := l.LogStartOffset()
	for from < l.LogEndOffset() {
		b, err := l.Read(nil, from, math.MaxInt64, 300, true)
		require.NoError(t, err)
		require.NotEmpty(t, b, "nothing at %d of %d", from, l.LogEndOffset())
		for batch := range partition.Batches(b) {
			require.Greater(t, batch.NextOffset(), from)
			from = batch.NextOffset()
			all = append(all, recordsOf(t, batch)...)
		}
	}
	return all
}

func (m *compacted) check(t *rapid.T) {
	require.Equal(t, [2]int64{0, m.end()}, [2]int64{m.log.LogStartOffset(), m.log.LogEndOffset()})
	m.checkEpochs(t, m.log)
	m.checkRecords(t, m.log, m.reach)
	m.checkTimes(t)
}

func (m *compacted) checkEpochs(t *rapid.T, l *partition.Log) {
	var want []partition.EpochStart
	for _, s := range m.batches {
		if n := len(want); n == 0 || want[n-1].Epoch < s.LeaderEpoch {
			want = append(want, partition.EpochStart{Epoch: s.LeaderEpoch, Offset: s.BaseOffset})
		}
	}
	require.Equal(t, fmt.Sprint(want), fmt.Sprint(l.Epochs()))
}

// checkRecords compares what a log holds with what it was given. Nothing was
// compacted at or above reach.
func (m *compacted) checkRecords(t *rapid.T, l *partition.Log, reach int64) {
	there := map[int64]placed{}
	held := map[string]int64{} // the last offset with a key that is there
	next := int64(0)
	for _, r := range readAll(t, l) {
		require.GreaterOrEqual(t, r.offset, next, "offsets only grow")
		next = r.offset + 1
		there[r.offset], held[string(r.Key)] = r, r.offset
	}
	last := map[string]int64{}
	gone := map[string]bool{} // the last one is a tombstone
	for _, s := range m.batches {
		for i, r := range s.Records {
			offset := s.BaseOffset + int64(i)
			got, ok := there[offset]
			if ok {
				require.Equal(t, fmt.Sprintf("%s %q %d", r.Key, r.Value, r.Timestamp), fmt.Sprintf("%s %q %d", got.Key, got.Value, got.ms))
				require.Equal(t, r.Value == nil, got.Value == nil)
				delete(there, offset)
			}
			require.True(t, ok || offset < reach, "record %d was never compacted", offset)
			last[string(r.Key)], gone[string(r.Key)] = offset, r.Value == nil
		}
	}
	require.Empty(t, there, "records that nobody appended")
	for key, offset := range last {
		found, ok := held[key]
		if gone[key] && (!ok || found != offset) {
			since, sighted := m.sighted[offset]
			require.False(t, ok, "%s was deleted at %d, and %d is there again", key, offset, found)
			require.True(t, sighted && m.now.Sub(since) >= m.retain, "the tombstone of %s at %d went too soon", key, offset)
			continue
		}
		require.True(t, ok && found == offset, "the last record of %s is at %d", key, offset)
	}
}

// checkTimes looks records up by their time.
func (m *compacted) checkTimes(t *rapid.T) {
	all := m.read(t)
	newest := partition.NoTimedOffset
	for _, r := range all {
		if r.ms > newest.Timestamp {
			newest.Offset, newest.Timestamp = r.offset, r.ms
		}
	}
	found, err := m.log.OffsetOfMaxTime(math.MaxInt64)
	require.NoError(t, err)
	require.Equal(t, [2]int64{newest.Offset, newest.Timestamp}, [2]int64{found.Offset, found.Timestamp})
	if len(all) == 0 {
		return
	}
	ms := all[rand.New(rand.NewPCG(uint64(len(all)), 0)).IntN(len(all))].ms
	for _, r := range all {
		if r.ms >= ms {
			found, err := m.log.OffsetForTime(ms)
			require.NoError(t, err)
			require.Equal(t, r.offset, found.Offset)
			return
		}
	}
}

// copy has a new follower fetch everything, which then compacts for itself.
func (m *compacted) copy(t *rapid.T) {
	disk := vfs.NewMem(1)
	f, _, err := partition.Open(disk, dir, m.cfg)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	for f.LogEndOffset() < m.log.LogEndOffset() {
		b, err := m.log.Read(nil, f.LogEndOffset(), math.MaxInt64, 300, true)
		require.NoError(t, err)
		require.NotEmpty(t, b)
		info, err := f.AppendAsFollower(bytes.Clone(b), m.epoch)
		require.NoError(t, err)
		require.NotZero(t, info.Bytes)
	}
	require.Equal(t, m.log.LogEndOffset(), f.LogEndOffset())
	m.checkEpochs(t, f)
	m.checkRecords(t, f, m.reach)
	done, err := partition.NewCleaner(1<<20).Compact(f, m.now, partition.Compaction{Committed: m.hw, DeleteRetention: m.retain})
	require.NoError(t, err)
	m.checkRecords(t, f, max(m.reach, done.To))
}

// A limited disk does so many things that change it, and then none more.
type limited struct {
	vfs.FS
	left int
	err  error
	only string // the operations that count; all if empty
}

func (d *limited) strike(op string) error {
	if d.only != "" && !strings.Contains(d.only, op) {
		return nil
	}
	if d.left--; d.left < 0 {
		return d.err
	}
	return nil
}

func (d *limited) Create(name string) (vfs.File, error) {
	if err := d.strike("Create"); err != nil {
		return nil, err
	}
	f, err := d.FS.Create(name)
	return limitedFile{f, d}, err
}

func (d *limited) Open(name string) (vfs.File, error) {
	f, err := d.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return limitedFile{f, d}, err
}

func (d *limited) Remove(name string) error {
	if err := d.strike("Remove"); err != nil {
		return err
	}
	return d.FS.Remove(name)
}

func (d *limited) Rename(from, to string) error {
	if err := d.strike("Rename"); err != nil {
		return err
	}
	return d.FS.Rename(from, to)
}

func (d *limited) SyncDir(name string) error {
	if err := d.strike("SyncDir"); err != nil {
		return err
	}
	return d.FS.SyncDir(name)
}

type limitedFile struct {
	vfs.File
	disk *limited
}

func (f limitedFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.disk.strike("Write"); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, at)
}

func (f limitedFile) Sync() error {
	if err := f.disk.strike("Sync"); err != nil {
		return err
	}
	return f.File.Sync()
}
