package partition_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// TestLogAgainstModel does what can be done to a log, in any order, crashes of
// both kinds and disk failures between, and compares it with a slice of batches.
func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":    m.appendAsLeader,
			"stage":     m.stage,
			"rest":      func(*rapid.T) { m.log.Rest() },
			"follow":    m.appendAsFollower,
			"truncate":  m.truncate,
			"reset":     m.reset,
			"start":     m.setLogStart,
			"lead":      m.startEpoch,
			"sync":      m.sync,
			"read":      m.read,
			"crash":     m.crash,
			"stop":      m.stop,
			"powerLoss": m.powerLoss,
			"breakdown": m.breakdown,
			"":          m.check,
		})
	})
}

// model is a log in its simplest form.
type model struct {
	disk   *vfs.Mem
	faults vfs.Faults
	cfg    partition.Config
	log    *partition.Log

	base, start, end int64
	batches          []partition.Batch
	epochs           []partition.EpochStart
	durable          int64 // a power loss leaves at least what is below
	epoch            int32 // newest that was ever used

	large bool // some batches are such that the disk keeps them
	lent  []lending
}

// A lending is what was lent, and what it was then.
type lending struct {
	span slab.Span
	was  string
}

func newModel(t *rapid.T) *model {
	m := &model{
		disk: vfs.NewMem(rapid.Uint64Range(0, 1000).Draw(t, "seed")),
		cfg: partition.Config{
			SegmentBytes:       rapid.IntRange(300, 900).Draw(t, "segment"),
			IndexIntervalBytes: rapid.IntRange(1, 300).Draw(t, "interval"),
			FlushMessages:      rapid.SampledFrom([]int64{0, 1}).Draw(t, "flush"),
		},
	}
	if m.large = rapid.Bool().Draw(t, "large batches"); m.large {
		m.cfg.SegmentBytes *= 80
	}
	m.open(t)
	return m
}

func (m *model) open(t *rapid.T) partition.Recovery {
	l, found, err := partition.Open(vfs.WithFaults(m.disk, &m.faults), dir, m.cfg)
	require.NoError(t, err)
	m.log = l
	return found
}

// spec draws a batch for offset.
func (m *model) spec(t *rapid.T, offset int64) batchtest.Spec {
	s := batchtest.Spec{BaseOffset: offset, LeaderEpoch: m.epoch}
	sizes := rapid.IntRange(0, 60)
	if m.large && rapid.Bool().Draw(t, "large") {
		sizes = rapid.IntRange(3000, 6000) // so that the disk keeps it
	}
	for range rapid.IntRange(1, 3).Draw(t, "records") {
		s.Records = append(s.Records, batchtest.Record{Value: bytes.Repeat([]byte{byte(offset)}, sizes.Draw(t, "size"))})
	}
	if rapid.Bool().Draw(t, "idempotent") {
		s.Producer = &batchtest.Producer{
			ID:       rapid.Int64Range(0, 2).Draw(t, "producer"),
			Epoch:    rapid.Int16Range(0, 1).Draw(t, "producer epoch"),
			Sequence: rapid.SampledFrom([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, math.MaxInt32}).Draw(t, "sequence"),
		}
	}
	return s
}

func (m *model) took(b partition.Batch) {
	m.batches = append(m.batches, b)
	m.assign(b.LeaderEpoch(), b.BaseOffset())
	m.end = b.NextOffset()
	if m.cfg.FlushMessages == 1 {
		m.durable = m.end
	}
}

func (m *model) assign(epoch int32, offset int64) {
	if n := len(m.epochs); n > 0 && m.epochs[n-1].Epoch == epoch {
		return
	}
	m.cutEpochs(offset)
	m.epochs = append(m.epochs, partition.EpochStart{Epoch: epoch, Offset: offset})
}

func (m *model) cutEpochs(offset int64) {
	m.epochs = slices.DeleteFunc(m.epochs, func(e partition.EpochStart) bool { return e.Offset >= offset })
}

// expect says what an idempotent batch is to be answered, by going through the log.
func (m *model) expect(b partition.Batch) (duplicate partition.Batch, err error) {
	var known []partition.Batch
	for _, x := range m.batches {
		if x.ProducerID() != b.ProducerID() {
			continue
		}
		if len(known) > 0 && known[0].ProducerEpoch() != x.ProducerEpoch() {
			known = nil
		}
		known = append(known, x)
	}
	known = known[max(0, len(known)-5):]
	if b.ProducerID() < 0 || len(known) == 0 {
		return nil, nil
	}
	last := known[len(known)-1]
	switch {
	case b.ProducerEpoch() < last.ProducerEpoch():
		return nil, metadata.ErrInvalidProducerEpoch
	case b.ProducerEpoch() > last.ProducerEpoch() && b.BaseSequence() == 0:
		return nil, nil
	case b.ProducerEpoch() > last.ProducerEpoch():
		return nil, metadata.ErrOutOfOrderSequenceNumber
	}
	for _, x := range known {
		if x.BaseSequence() == b.BaseSequence() && x.LastSequence() == b.LastSequence() {
			return x, nil
		}
	}
	if next := (int64(last.LastSequence()) + 1) % (math.MaxInt32 + 1); int64(b.BaseSequence()) != next {
		return nil, metadata.ErrOutOfOrderSequenceNumber
	}
	return nil, nil
}

func (m *model) appendAsLeader(t *rapid.T) {
	m.epoch += rapid.SampledFrom([]int32{0, 0, 0, 1}).Draw(t, "newer")
	s := m.spec(t, m.end)
	duplicate, want := m.expect(s.Bytes())
	info, err := appendWhole(m.log, s.Bytes(), m.epoch)
	switch {
	case want != nil:
		require.ErrorIs(t, err, want)
	case duplicate != nil:
		require.NoError(t, err)
		require.True(t, info.Duplicate)
		require.Equal(t, [2]int64{duplicate.BaseOffset(), duplicate.LastOffset()}, [2]int64{info.BaseOffset, info.LastOffset})
	default:
		require.NoError(t, err)
		require.False(t, info.Duplicate)
		m.took(s.Bytes())
		require.Equal(t, m.end-1, info.LastOffset)
	}
}

// stage has several batches share a write, or be written by a sync that comes first.
func (m *model) stage(t *rapid.T) {
	var staged []partition.AppendInfo
	for range rapid.IntRange(1, 5).Draw(t, "batches") {
		s := m.spec(t, m.end)
		s.Producer = nil
		info, err := m.log.Stage(s.Bytes(), m.epoch, now)
		require.NoError(t, err)
		require.Equal(t, m.end, info.BaseOffset)
		m.took(s.Bytes())
		staged = append(staged, info)
	}
	if rapid.Bool().Draw(t, "settle") {
		require.NoError(t, m.log.Settle())
	}
	for _, info := range staged {
		written, err := m.log.AwaitWritten(info)
		require.NoError(t, err)
		require.NoError(t, m.log.AwaitSynced(written))
	}
}

func (m *model) appendAsFollower(t *rapid.T) {
	var all []byte
	end := m.end
	for range rapid.IntRange(1, 6).Draw(t, "batches") {
		m.epoch += rapid.SampledFrom([]int32{0, 0, 0, 1}).Draw(t, "newer")
		s := m.spec(t, end)
		if s.Producer != nil { // a leader has seen to it
			if d, err := m.expect(s.Bytes()); d != nil || err != nil {
				s.Producer = nil
			}
		}
		b := partition.Batch(s.Bytes())
		m.took(b)
		end = b.NextOffset()
		all = append(all, b...)
	}
	cut := rapid.IntRange(0, 40).Draw(t, "cut off")
	all = append(all, all[:cut]...)
	if !rapid.Bool().Draw(t, "shared") {
		_, err := m.log.AppendAsFollower(all, m.epoch)
		require.NoError(t, err)
		return
	}
	span := slab.Of(all).Span(0, len(all))
	m.lent = append(m.lent, lending{span, string(all)})
	_, err := m.log.AppendSpanAsFollower(span, m.epoch)
	require.NoError(t, err)
}

func (m *model) truncate(t *rapid.T) {
	to := rapid.Int64Range(max(0, m.base-2), m.end+2).Draw(t, "to")
	from, err := m.log.Truncate(to)
	require.NoError(t, err)
	require.Equal(t, m.end, from)
	m.cut(to)
}

func (m *model) cut(to int64) {
	if to < m.base {
		m.drop(to)
		return
	}
	if to > m.end {
		return
	}
	if to < m.end {
		keep := 0
		for keep < len(m.batches) && m.batches[keep].NextOffset() <= to {
			keep++
		}
		if m.end = m.batches[keep].BaseOffset(); m.end < m.start && m.start <= to {
			m.drop(m.start)
			return
		}
		m.batches = m.batches[:keep]
		m.start, m.durable = min(m.start, m.end), m.end
	}
	m.cutEpochs(m.end)
	if n := len(m.batches); len(m.epochs) == 0 && n > 0 {
		m.assign(m.batches[n-1].LeaderEpoch(), m.start)
	}
}

func (m *model) reset(t *rapid.T) {
	to := rapid.Int64Range(0, m.end+5).Draw(t, "to")
	require.NoError(t, m.log.Reset(to))
	m.drop(to)
}

func (m *model) drop(to int64) {
	m.base, m.start, m.end, m.durable = to, to, to, to
	m.batches, m.epochs = nil, nil
}

func (m *model) setLogStart(t *rapid.T) {
	to := rapid.Int64Range(m.base, m.end+1).Draw(t, "to")
	err := m.log.SetLogStart(to)
	if to > m.end {
		require.ErrorIs(t, err, metadata.ErrOffsetOutOfRange)
		return
	}
	require.NoError(t, err)
	m.start = max(m.start, to)
	for len(m.epochs) > 1 && m.epochs[1].Offset <= m.start {
		m.epochs = m.epochs[1:]
	}
	if len(m.epochs) > 0 {
		m.epochs[0].Offset = max(m.epochs[0].Offset, m.start)
	}
}

func (m *model) startEpoch(t *rapid.T) {
	m.epoch++
	require.NoError(t, m.log.StartEpoch(m.epoch))
	m.assign(m.epoch, m.end)
}

func (m *model) sync(t *rapid.T) {
	require.NoError(t, m.log.Sync())
	m.durable = m.end
}

func (m *model) read(t *rapid.T) {
	from, limit := rapid.Int64Range(m.start, m.end).Draw(t, "from"), rapid.Int64Range(0, m.end+1).Draw(t, "limit")
	maxBytes, must := rapid.IntRange(0, m.cfg.SegmentBytes+100).Draw(t, "bytes"), rapid.Bool().Draw(t, "at least one")
	got, err := m.log.Read(nil, from, limit, maxBytes, must)
	require.NoError(t, err)
	var want []byte
	for _, b := range m.batches {
		switch {
		case b.NextOffset() <= from:
			continue
		case b.NextOffset() > limit, len(want)+len(b) > maxBytes && (len(want) > 0 || !must):
		default:
			want = append(want, b...)
			continue
		}
		break
	}
	require.True(t, bytes.Equal(want, got), "read %d bytes instead of %d", len(got), len(want))
	lent, ok := m.log.Lend(nil, from, limit, maxBytes, must)
	if !ok {
		return
	}
	require.True(t, bytes.HasPrefix(want, slab.AppendTo(nil, lent)), "something else is lent than read")
	require.Equal(t, len(want) == 0, len(lent) == 0)
	for _, span := range lent {
		require.True(t, span.Shared())
		m.lent = append(m.lent, lending{span, string(span.Bytes())})
	}
}

// crash ends the process and nothing else.
func (m *model) crash(t *rapid.T) {
	require.NoError(t, m.log.Close())
	found := m.open(t)
	require.Equal(t, partition.Recovery{LogStartOffset: m.base, LogEndOffset: m.end}, found)
	m.reopened()
}

func (m *model) reopened() {
	m.start, m.epochs = m.base, nil
	for _, b := range m.batches {
		m.assign(b.LeaderEpoch(), b.BaseOffset())
	}
	if kept := m.log.Epochs(); len(m.batches) == 0 && m.base > 0 && len(kept) == 1 && kept[0].Offset == m.base {
		m.epochs = kept // begun and without a record, or what retention has left
	}
}

// stop ends the process in good order.
func (m *model) stop(t *rapid.T) {
	require.NoError(t, m.log.Checkpoint(now))
	m.durable = m.end
	if rapid.Bool().Draw(t, "and the power goes") {
		m.disk.PowerLoss()
	}
	m.crash(t)
}

func (m *model) powerLoss(t *rapid.T) {
	m.disk.PowerLoss()
	_ = m.log.Close()
	m.open(t)
	m.lost(t, m.durable)
}

// lost adopts what a log that lost something has: a prefix of what was appended,
// and all that was to survive.
func (m *model) lost(t *rapid.T, survives int64) {
	end := m.log.LogEndOffset()
	require.GreaterOrEqual(t, end, survives)
	require.LessOrEqual(t, end, m.end)
	m.batches = slices.DeleteFunc(m.batches, func(b partition.Batch) bool { return b.NextOffset() > end })
	m.end = m.base
	if n := len(m.batches); n > 0 {
		m.end = m.batches[n-1].NextOffset()
	}
	require.Equal(t, m.end, end, "a batch is there or not")
	m.reopened()
}

// breakdown makes the disk fail during an append, and the node crash for it.
func (m *model) breakdown(t *rapid.T) {
	var heal func()
	if rapid.Bool().Draw(t, "short write") {
		heal = m.faults.ShortWrite("*.log", rapid.IntRange(0, 200).Draw(t, "keep"))
	} else {
		op := rapid.SampledFrom([]vfs.Op{vfs.OpWrite, vfs.OpSync, vfs.OpCreate, vfs.OpSyncDir, vfs.OpRename}).Draw(t, "op")
		heal = m.faults.Fail(op, "", syscall.EIO)
	}
	s := m.spec(t, m.end)
	s.Producer = nil
	_, err := appendWhole(m.log, s.Bytes(), m.epoch)
	heal()
	if err == nil {
		m.took(s.Bytes())
		m.check(t)
		return
	}
	require.True(t, errors.Is(err, metadata.ErrStorage), "%v", err)
	m.checkRecords(t)                        // the epoch may have come in before it went wrong
	m.batches = append(m.batches, s.Bytes()) // it may be there
	survives := m.end
	if rapid.Bool().Draw(t, "power loss") {
		m.disk.PowerLoss()
		survives = m.durable
	}
	m.end = m.batches[len(m.batches)-1].NextOffset()
	_ = m.log.Close()
	m.open(t)
	m.lost(t, survives)
}

func (m *model) check(t *rapid.T) {
	require.Equal(t, [3]int64{m.start, m.end, int64(m.size())}, [3]int64{m.log.LogStartOffset(), m.log.LogEndOffset(), m.log.Size()})
	require.Equal(t, fmt.Sprint(m.epochs), fmt.Sprint(m.log.Epochs()))
	for e := int32(-1); e <= m.epoch+1; e++ {
		require.Equal(t, m.endOf(e), m.log.EndOffsetForEpoch(e), "epoch %d", e)
	}
	m.checkRecords(t)
	for _, l := range m.lent {
		require.True(t, string(l.span.Bytes()) == l.was, "who borrowed sees a change")
	}
}

func (m *model) checkRecords(t *rapid.T) {
	got, err := m.log.Read(nil, m.start, m.end, 1<<20, true)
	require.NoError(t, err)
	var want []byte
	for _, b := range m.batches {
		if b.NextOffset() > m.start {
			want = append(want, b...)
		}
	}
	require.True(t, bytes.Equal(want, got), "the log holds %d bytes instead of %d, or others", len(got), len(want))
}

func (m *model) size() (n int) {
	for _, b := range m.batches {
		n += len(b)
	}
	return n
}

func (m *model) endOf(epoch int32) partition.EpochEnd {
	floor, higher := int32(-1), int64(-1)
	for _, e := range m.epochs {
		switch {
		case e.Epoch <= epoch:
			floor = e.Epoch
		case higher < 0:
			higher = e.Offset
		}
	}
	switch {
	case epoch < 0 || len(m.epochs) == 0:
	case floor == epoch && higher < 0:
		return partition.EpochEnd{Epoch: epoch, Offset: m.end}
	case higher < 0: // newer than the log
	case floor < 0:
		return partition.EpochEnd{Epoch: epoch, Offset: higher}
	default:
		return partition.EpochEnd{Epoch: floor, Offset: higher}
	}
	return partition.EpochEnd{Epoch: -1, Offset: -1}
}
