package partition_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// TestRecoveryKnowsWhatAFullReadWould does to a log whatever can befall it, and
// compares what each Open finds with what Open finds in the same files without the
// snapshots, when it has to read everything.
func TestRecoveryKnowsWhatAFullReadWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		defer func() { _ = h.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":     h.append,
			"append ":    h.append,
			"append  ":   h.append,
			"follow":     h.follow,
			"lead":       func(t *rapid.T) { h.epoch++; require.NoError(t, h.log.StartEpoch(h.epoch)) },
			"truncate":   h.truncate,
			"reset":      h.reset,
			"retain":     h.retain,
			"start":      h.start,
			"checkpoint": func(t *rapid.T) { require.NoError(t, h.log.Checkpoint(now)) },
			"crash":      h.crash,
			"powerLoss":  h.powerLoss,
		})
	})
}

// A history is a log and what it takes to write to it.
type history struct {
	disk  *vfs.Mem
	cfg   partition.Config
	log   *partition.Log
	epoch int32
	seq   [4]int32 // of each producer, the next one; never wrong, so nothing is refused
	ms    int64
}

func newHistory(t *rapid.T) *history {
	h := &history{
		disk: vfs.NewMem(rapid.Uint64Range(0, 1000).Draw(t, "seed")),
		cfg: partition.Config{
			SegmentBytes:       rapid.IntRange(300, 1500).Draw(t, "segment"),
			IndexIntervalBytes: rapid.IntRange(1, 400).Draw(t, "interval"),
		},
	}
	h.open(t)
	return h
}

func (h *history) open(t *rapid.T) partition.Recovery {
	l, found, err := partition.Open(h.disk, dir, h.cfg)
	require.NoError(t, err)
	h.log = l
	return found
}

// spec draws a batch. The timestamps of a log go up and down.
func (h *history) spec(t *rapid.T, offset int64) batchtest.Spec {
	s := batchtest.Spec{BaseOffset: offset, LeaderEpoch: h.epoch}
	for range rapid.IntRange(1, 3).Draw(t, "records") {
		h.ms += rapid.Int64Range(-3, 5).Draw(t, "ms")
		s.Records = append(s.Records, batchtest.Record{
			Value:     []byte(strings.Repeat("v", rapid.IntRange(0, 60).Draw(t, "size"))),
			Timestamp: batchtest.Timestamp + h.ms,
		})
	}
	if id := rapid.IntRange(-1, len(h.seq)-1).Draw(t, "producer"); id >= 0 {
		s.Producer = &batchtest.Producer{ID: int64(id), Sequence: h.seq[id]}
		h.seq[id] += int32(len(s.Records))
	}
	return s
}

func (h *history) append(t *rapid.T) {
	h.epoch += rapid.SampledFrom([]int32{0, 0, 0, 1}).Draw(t, "newer")
	s := h.spec(t, h.log.LogEndOffset())
	if _, err := h.log.AppendAsLeader(s.Bytes(), h.epoch, now); err != nil { // a truncation took what came before
		s.Producer = nil
		_, err := h.log.AppendAsLeader(s.Bytes(), h.epoch, now)
		require.NoError(t, err)
	}
}

func (h *history) follow(t *rapid.T) {
	var all []byte
	end := h.log.LogEndOffset()
	for range rapid.IntRange(1, 8).Draw(t, "batches") {
		b := partition.Batch(h.spec(t, end).Bytes())
		end = b.NextOffset()
		all = append(all, b...)
	}
	_, err := h.log.AppendAsFollower(all, h.epoch)
	require.NoError(t, err)
}

func (h *history) truncate(t *rapid.T) {
	from, to := h.log.LogStartOffset(), h.log.LogEndOffset()
	_, err := h.log.Truncate(rapid.Int64Range(max(from, to-30), to).Draw(t, "to"))
	require.NoError(t, err)
}

func (h *history) reset(t *rapid.T) {
	require.NoError(t, h.log.Reset(rapid.Int64Range(0, h.log.LogEndOffset()+5).Draw(t, "to")))
}

func (h *history) retain(t *rapid.T) {
	keep := rapid.Int64Range(0, h.log.Size()).Draw(t, "bytes")
	_, err := h.log.Retain(now, h.log.LogEndOffset(), partition.Retention{Delete: true, Time: -1, Bytes: keep})
	require.NoError(t, err)
}

func (h *history) start(t *rapid.T) {
	require.NoError(t, h.log.SetLogStart(rapid.Int64Range(0, h.log.LogEndOffset()).Draw(t, "start")))
}

// crash ends the process: nothing at all is lost, not even what the log no longer
// has the records of.
func (h *history) crash(t *rapid.T) {
	end, before := h.log.LogEndOffset(), partition.ProducerStates(h.log)
	require.NoError(t, h.log.Close())
	h.compare(t)
	require.Equal(t, end, h.log.LogEndOffset())
	require.Equal(t, before, partition.ProducerStates(h.log))
}

func (h *history) powerLoss(t *rapid.T) {
	point := h.log.RecoveryPoint()
	h.disk.PowerLoss()
	_ = h.log.Close()
	h.compare(t)
	require.GreaterOrEqual(t, h.log.LogEndOffset(), point)
}

func (h *history) compare(t *rapid.T) {
	copied := cloneDir(t, h.disk, func(name string) bool { return !strings.HasSuffix(name, ".snapshot") })
	full, found, err := partition.Open(copied, dir, h.cfg)
	require.NoError(t, err)
	defer full.Close()
	require.Equal(t, found, h.open(t))
	requireSameAnswers(t, full, h.log)
	whole := full.LogStartOffset() == 0
	quick := partition.ProducerStates(h.log)
	for id, state := range partition.ProducerStates(full) {
		if whole {
			require.Equal(t, state, quick[id], "producer %d", id)
		} else {
			_, batches, _ := strings.Cut(state, "{")
			require.True(t, strings.HasSuffix(quick[id], batches), "producer %d: %s and not %s", id, quick[id], state)
		}
	}
}

// cloneDir copies the files of the log that are wanted to another disk.
func cloneDir(t require.TestingT, disk vfs.FS, want func(name string) bool) *vfs.Mem {
	copied := vfs.NewMem(0)
	require.NoError(t, copied.MkdirAll(dir))
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if !want(name) {
			continue
		}
		b, err := vfs.ReadFile(disk, dir+"/"+name)
		require.NoError(t, err)
		require.NoError(t, vfs.WriteFileSynced(copied, dir+"/"+name, b))
	}
	return copied
}

// requireSameAnswers names the first answer that differs.
func requireSameAnswers(t require.TestingT, want, got *partition.Log) {
	a, b := answers(t, want), answers(t, got)
	for i := range min(len(a), len(b)) {
		require.Equal(t, a[i], b[i])
	}
	require.Equal(t, len(a), len(b))
}

// answers is what a log says when it is asked everything, but for producers.
func answers(t require.TestingT, l *partition.Log) (all []string) {
	start, end := l.LogStartOffset(), l.LogEndOffset()
	all = append(all, fmt.Sprint(start, end, l.Size(), l.Epochs()))
	for offset := start; offset < end; offset++ {
		b, err := l.Read(nil, offset, end, 1, true)
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%d %x", offset, b[:partition.HeaderSize]))
	}
	return append(all, times(t, l)...)
}

// times is what a log says about timestamps.
func times(t require.TestingT, l *partition.Log) (all []string) {
	for ms := int64(-20); ms < 60; ms++ {
		at, err := l.OffsetForTime(batchtest.Timestamp + ms)
		require.NoError(t, err)
		all = append(all, fmt.Sprint(ms, at))
	}
	for limit := l.LogStartOffset(); limit <= l.LogEndOffset(); limit++ {
		at, err := l.OffsetOfMaxTime(limit)
		require.NoError(t, err)
		all = append(all, fmt.Sprint("below ", limit, at))
	}
	return all
}

// A producer that has been silent too long is not resurrected by a restart, though
// its records are still there and the clock may be wrong.
func TestProducersExpireAcrossRestarts(t *testing.T) {
	disk := vfs.NewMem(0)
	cfg := partition.Config{ProducerIDExpiration: time.Hour}
	l := open(t, disk, cfg)
	batch := func(id int64, seq int32, at time.Time) []byte {
		return batchtest.Spec{
			Producer: &batchtest.Producer{ID: id, Sequence: seq},
			Records:  []batchtest.Record{{Value: []byte("x"), Timestamp: at.UnixMilli()}},
		}.Bytes()
	}
	later := now.Add(61 * time.Minute)
	for _, b := range [][]byte{batch(1, 0, now), batch(2, 0, now), batch(2, 1, later)} {
		_, err := l.AppendAsLeader(b, 0, now)
		require.NoError(t, err)
	}
	require.NoError(t, l.Checkpoint(later))
	l, _ = reopen(t, l, disk, cfg)
	require.Equal(t, []int64{2}, known(l))
	info, err := l.AppendAsLeader(batch(2, 0, now), 0, now)
	require.NoError(t, err)
	require.True(t, info.Duplicate, "an older batch than the producer's last")

	// The next snapshot may still have one that expires before the restart.
	require.NoError(t, l.Checkpoint(now))
	l, _ = reopen(t, l, disk, cfg)
	require.Equal(t, []int64{2}, known(l))
	info, err = l.AppendAsLeader(batch(2, 7, later), 0, later.Add(2*time.Hour))
	require.NoError(t, err, "nobody knows it any more")
	require.False(t, info.Duplicate)
}

// known is the ids of the producers that a log knows.
func known(l *partition.Log) (ids []int64) {
	for id := range partition.ProducerStates(l) {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
