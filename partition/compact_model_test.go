package partition_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// TestCompactionAgainstModel appends, compacts and cuts a log in any order, with
// time going by, and a crash of either kind or a full disk at any operation of a
// compaction. What is left must be of what was appended, and enough of it.
func TestCompactionAgainstModel(t *testing.T) {
	fewerChecks(t, compactionShare)
	rapid.Check(t, func(t *rapid.T) {
		m := newCompacted(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":    m.append,
			"append ":   m.append,
			"commit":    m.commit,
			"wait":      m.wait,
			"compact":   m.compact,
			"prove":     m.prove,
			"interrupt": m.interrupt,
			"truncate":  m.truncate,
			"crash":     m.crash,
			"powerLoss": m.powerLoss,
			"retry":     m.retry,
			"copy":      m.copy,
			"":          m.check,
		})
	})
}

// compactionShare divides the number of histories that the model of compaction tries.
var compactionShare = 1

// fewerChecks divides how often rapid checks in this test.
func fewerChecks(t *testing.T, by int) {
	checks := flag.Lookup("rapid.checks")
	all := checks.Value.String()
	n, err := strconv.Atoi(all)
	require.NoError(t, err)
	require.NoError(t, checks.Value.Set(strconv.Itoa(max(1, n/by))))
	t.Cleanup(func() { require.NoError(t, checks.Value.Set(all)) })
}

// compacted is everything that was appended to a log and not cut off.
type compacted struct {
	disk    *vfs.Mem
	at      *limited // the disk, until it gives up
	cfg     partition.Config
	log     *partition.Log
	cleaner *partition.Cleaner
	now     time.Time
	retain  time.Duration

	batches  []batchtest.Spec
	hw       int64
	durable  int64
	clean    int64 // as the last compaction said
	reach    int64 // no compaction has looked beyond
	epoch    int32
	sequence [3]int32
	last     [3]int // of each producer, its batch in batches; -1

	sighted map[int64]time.Time // tombstones, and when a compaction first found them
}

func newCompacted(t *rapid.T) *compacted {
	m := &compacted{
		disk: vfs.NewMem(rapid.Uint64Range(0, 1000).Draw(t, "seed")),
		cfg: partition.Config{
			SegmentBytes:       rapid.IntRange(150, 900).Draw(t, "segment"),
			IndexIntervalBytes: rapid.IntRange(1, 300).Draw(t, "interval"),
			FlushMessages:      rapid.SampledFrom([]int64{0, 1}).Draw(t, "flush"),
			Compacted:          true,
		},
		cleaner: partition.NewCleaner(rapid.SampledFrom([]int64{1, 400, 1 << 20}).Draw(t, "map")),
		now:     now, retain: 10 * time.Second,
		last: [3]int{-1, -1, -1}, sighted: map[int64]time.Time{},
	}
	m.open(t)
	return m
}

func (m *compacted) open(t *rapid.T) partition.Recovery {
	m.at = &limited{FS: m.disk, left: math.MaxInt}
	l, found, err := partition.Open(m.at, dir, m.cfg)
	require.NoError(t, err)
	m.log = l
	return found
}

func (m *compacted) end() int64 {
	if n := len(m.batches); n > 0 {
		return m.batches[n-1].BaseOffset + int64(len(m.batches[n-1].Records))
	}
	return 0
}

func (m *compacted) append(t *rapid.T) {
	m.epoch += rapid.SampledFrom([]int32{0, 0, 0, 1}).Draw(t, "newer")
	s := batchtest.Spec{BaseOffset: m.end(), LeaderEpoch: m.epoch, Codec: rapid.SampledFrom([]codec.Type{codec.None, codec.None, codec.LZ4}).Draw(t, "codec")}
	for i := range rapid.IntRange(1, 4).Draw(t, "records") {
		r := batchtest.Record{Key: []byte{byte('a' + rapid.IntRange(0, 7).Draw(t, "key"))}, Timestamp: m.now.UnixMilli() + int64(i)}
		if rapid.IntRange(0, 3).Draw(t, "kind") > 0 {
			r.Value = fmt.Appendf(nil, "%d", s.BaseOffset+int64(i))
		}
		s.Records = append(s.Records, r)
	}
	p := rapid.IntRange(-1, 2).Draw(t, "producer")
	if p >= 0 {
		s.Producer = &batchtest.Producer{ID: int64(p), Sequence: m.sequence[p]}
		m.sequence[p] += int32(len(s.Records))
		m.last[p] = len(m.batches)
	}
	info, err := m.log.AppendAsLeader(s.Bytes(), m.epoch, m.now)
	require.NoError(t, err)
	require.Equal(t, s.BaseOffset, info.BaseOffset)
	require.False(t, info.Duplicate)
	m.batches = append(m.batches, s)
	if m.cfg.FlushMessages == 1 {
		require.NoError(t, m.log.Sync())
		m.durable = m.end()
	}
}

func (m *compacted) commit(t *rapid.T) {
	ahead := slices.IndexFunc(m.batches, func(s batchtest.Spec) bool { return s.BaseOffset >= m.hw })
	if ahead < 0 {
		m.hw = m.end()
		return
	}
	at := rapid.IntRange(ahead, len(m.batches)).Draw(t, "batch")
	m.hw = m.end()
	if at < len(m.batches) {
		m.hw = m.batches[at].BaseOffset
	}
}

func (m *compacted) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 8000).Draw(t, "ms")) * time.Millisecond)
}

func (m *compacted) how() partition.Compaction {
	return partition.Compaction{FirstDirty: m.clean, Committed: m.hw, DeleteRetention: m.retain}
}

func (m *compacted) compact(t *rapid.T) {
	d := m.log.Dirtiness(m.now, m.how())
	done, err := m.cleaner.Compact(m.log, m.now, m.how())
	require.NoError(t, err)
	require.Equal(t, d.FirstDirty, done.From)
	require.LessOrEqual(t, done.To, max(d.End, done.From))
	require.True(t, done.To > done.From || d.Dirt == 0, "there is progress")
	m.compactedTo(done.To)
	if done.To == done.From {
		return
	}
	once := map[string]bool{}
	for _, r := range m.read(t) {
		if r.offset < done.To {
			require.False(t, once[string(r.Key)], "%s is there twice below %d", r.Key, done.To)
			once[string(r.Key)] = true
		}
	}
}

// compactedTo takes account of how far keys have been looked at.
func (m *compacted) compactedTo(to int64) {
	m.clean, m.reach = to, max(m.reach, to)
	m.sight(to)
}

// sight remembers when the tombstones were compacted first.
func (m *compacted) sight(to int64) {
	for _, s := range m.batches {
		for i, r := range s.Records {
			offset := s.BaseOffset + int64(i)
			if _, known := m.sighted[offset]; r.Value == nil && offset < to && !known {
				m.sighted[offset] = m.now
			}
		}
	}
}

// interrupt lets the disk fail, or be full, at any operation of a compaction.
func (m *compacted) interrupt(t *rapid.T) {
	d := m.log.Dirtiness(m.now, m.how())
	full := rapid.Bool().Draw(t, "full")
	m.at.left, m.at.err = rapid.IntRange(0, 40).Draw(t, "operations"), syscall.EIO
	if full {
		m.at.err, m.at.only = syscall.ENOSPC, "Create Write"
	}
	done, err := m.cleaner.Compact(m.log, m.now, m.how())
	m.at.left, m.at.only = math.MaxInt, ""
	m.reach = max(m.reach, d.End)
	m.sight(d.End) // it may have come to the tombstones
	switch {
	case err == nil:
		m.compactedTo(done.To)
		return
	case full && errors.Is(err, syscall.ENOSPC):
		names, err := m.disk.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			require.NotContains(t, name, "cleaned")
			require.NotContains(t, name, "swap")
		}
		require.NoError(t, m.log.Sync(), "the log goes on")
		return
	}
	require.ErrorIs(t, err, metadata.ErrStorage)
	require.ErrorIs(t, m.log.Sync(), metadata.ErrStorage, "a disk that failed is not written to again")
	if rapid.Bool().Draw(t, "power loss") {
		m.powerLoss(t)
	} else {
		m.crash(t)
	}
}

func (m *compacted) truncate(t *rapid.T) {
	to := rapid.Int64Range(m.hw, m.end()).Draw(t, "to")
	_, err := m.log.Truncate(to)
	require.NoError(t, err)
	if to < m.end() {
		m.cut(m.log.LogEndOffset())
	}
}

// cut forgets the batches that do not end at or below to.
func (m *compacted) cut(to int64) {
	m.batches = slices.DeleteFunc(m.batches, func(s batchtest.Spec) bool { return s.BaseOffset+int64(len(s.Records)) > to })
	m.durable, m.hw = min(m.durable, to), min(m.hw, to)
	m.clean, m.reach = min(m.clean, to), min(m.reach, to)
	m.sequence, m.last = [3]int32{}, [3]int{-1, -1, -1}
	for i, s := range m.batches {
		if s.Producer != nil {
			m.last[s.Producer.ID] = i
			m.sequence[s.Producer.ID] = s.Producer.Sequence + int32(len(s.Records))
		}
	}
	for offset := range m.sighted {
		if offset >= to {
			delete(m.sighted, offset)
		}
	}
}

// prove leaves a snapshot, as a stop in good order does.
func (m *compacted) prove(t *rapid.T) {
	require.NoError(t, m.log.Checkpoint(m.now))
	m.durable = m.log.LogEndOffset()
}

func (m *compacted) crash(t *rapid.T) {
	_ = m.log.Close()
	require.Empty(t, m.open(t).Corrupt)
}

func (m *compacted) powerLoss(t *rapid.T) {
	m.disk.PowerLoss()
	_ = m.log.Close()
	m.open(t) // what was not synced may look damaged
	require.GreaterOrEqual(t, m.log.LogEndOffset(), max(m.durable, m.reach))
	m.cut(m.log.LogEndOffset())
}

// retry sends the last batch of each producer again.
func (m *compacted) retry(t *rapid.T) {
	for _, i := range m.last {
		if i >= 0 {
			s := m.batches[i]
			info, err := m.log.AppendAsLeader(s.Bytes(), m.epoch, m.now)
			require.NoError(t, err)
			require.True(t, info.Duplicate)
			require.Equal(t, s.BaseOffset, info.BaseOffset)
		}
	}
}
