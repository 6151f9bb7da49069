package partition_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// Whatever else is done to a log while syncs are owed, one under way and one behind
// it: who waits hears, and what is owed is paid before anything is cut off.
func TestALogThatOwesASync(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(l *partition.Log) error
		want   []string
		waiter error
		syncs  int64 // the one under way, the one behind it, and what it takes
	}{
		"sync":            {(*partition.Log).Sync, []string{"a", "b", "c"}, nil, 2},
		"settle":          {(*partition.Log).Settle, []string{"a", "b", "c"}, nil, 2},
		"a new epoch":     {func(l *partition.Log) error { return l.StartEpoch(3) }, []string{"a", "b", "c"}, nil, 2},
		"truncate":        {func(l *partition.Log) error { _, err := l.Truncate(1); return err }, []string{"a"}, nil, 3},
		"truncate it all": {func(l *partition.Log) error { _, err := l.Truncate(0); return err }, nil, nil, 4}, // a milestone goes, too
		"reset":           {func(l *partition.Log) error { return l.Reset(0) }, nil, nil, 3},
		"retain": {func(l *partition.Log) error {
			removed, err := l.Retain(now, 0, partition.Retention{Delete: true, Bytes: 0})
			if removed > 0 {
				err = fmt.Errorf("%d segments removed that nobody had committed", removed)
			}
			return err
		}, []string{"a", "b", "c"}, nil, 2},
		"a roll": {func(l *partition.Log) error {
			_, err := l.AppendAsLeader(batchtest.NewBatch("d"), 0, now)
			return err
		}, []string{"a", "b", "c"}, nil, 2},
		"follow": {func(l *partition.Log) error {
			_, err := l.AppendAsFollower(batchtest.At(3, 0, "d"), 0)
			return err
		}, []string{"a", "b", "c", "d"}, nil, 3},
		"close": {(*partition.Log).Close, nil, partition.ErrClosed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := slowSync(vfs.NewMem(1))
				cfg := partition.Config{FlushMessages: 1, SegmentBytes: 3*one + 10}
				l := open(t, disk, cfg)
				var waiters sync.WaitGroup
				for i, v := range []string{"a", "b", "c"} {
					info, err := l.AppendAsLeader(batchtest.NewBatch(v), 0, now)
					require.NoError(t, err)
					waiters.Go(func() {
						switch err := l.AwaitSynced(info); {
						case i == 0 || c.waiter == nil: // its sync is under way
							if err != nil {
								t.Error(v, err)
							}
						default:
							require.ErrorIs(t, err, c.waiter)
							require.ErrorIs(t, err, metadata.ErrStorage)
						}
					})
					synctest.Wait()
				}
				require.EqualValues(t, 0, l.LogEndOffset())
				if err := c.do(l); err != nil {
					t.Error(err)
				}
				require.Equal(t, c.syncs, disk.syncs.Load())
				waiters.Wait()
				if name != "close" {
					require.Equal(t, c.want, values(t, l, 0)[:len(c.want)])
				}
			})
		})
	}
}

// TestOwedSyncsAgainstModel appends, waits or does not, and does all else that can
// be done to a log, with crashes of both kinds between. What was acked is there, and
// of what was shown a power loss takes less than flush.messages.
func TestOwedSyncsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &owing{
			disk: vfs.NewMem(rapid.Uint64Range(0, 1000).Draw(t, "seed")),
			cfg: partition.Config{
				SegmentBytes:       rapid.IntRange(100, 600).Draw(t, "segment"),
				IndexIntervalBytes: rapid.IntRange(1, 300).Draw(t, "interval"),
				FlushMessages:      rapid.SampledFrom([]int64{1, 1, 2, 5, math.MaxInt64}).Draw(t, "flush"),
			},
		}
		m.open(t)
		defer func() { _ = m.log.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":    m.append,
			"append on": m.append,
			"await":     m.await,
			"sync":      m.sync,
			"settle":    m.settle,
			"epoch":     func(t *rapid.T) { m.epoch++; require.NoError(t, m.log.StartEpoch(m.epoch)); m.settled(t) },
			"follow":    m.follow,
			"truncate":  m.truncate,
			"reset":     m.reset,
			"flush":     m.configure,
			"crash":     m.crash,
			"powerLoss": m.powerLoss,
			"":          m.check,
		})
	})
}

// owing is a log whose batches may be waiting for their sync.
type owing struct {
	disk *vfs.Mem
	cfg  partition.Config
	log  *partition.Log

	base    int64
	batches []partition.Batch // written
	waits   []partition.AppendInfo
	acked   int64 // end of what was acked
	safe    int64 // end of what was synced, as far as the model knows
	exact   bool  // nothing was shown before flush.messages counted
	epoch   int32
	next    int // for values
}

func (m *owing) end() int64 {
	if n := len(m.batches); n > 0 {
		return m.batches[n-1].NextOffset()
	}
	return m.base
}

func (m *owing) open(t *rapid.T) {
	l, _, err := partition.Open(m.disk, dir, m.cfg)
	require.NoError(t, err)
	m.log, m.waits = l, nil
}

func (m *owing) batch(t *rapid.T) partition.Batch {
	var values []string
	for range rapid.IntRange(1, 3).Draw(t, "records") {
		m.next++
		values = append(values, fmt.Sprint(m.next))
	}
	return batchtest.At(m.end(), m.epoch, values...)
}

func (m *owing) append(t *rapid.T) {
	b := m.batch(t)
	info, err := m.log.AppendAsLeader(b, m.epoch, now)
	require.NoError(t, err)
	require.Equal(t, [2]int64{m.end(), b.LastOffset()}, [2]int64{info.BaseOffset, info.LastOffset})
	m.batches = append(m.batches, b)
	if info.SyncOwed() {
		m.waits = append(m.waits, info)
	} else {
		m.ack(t)
	}
}

// ack is told for the newest batch.
func (m *owing) ack(t *rapid.T) {
	m.acked = m.end()
	require.Equal(t, m.end(), m.log.LogEndOffset())
}

func (m *owing) await(t *rapid.T) {
	if len(m.waits) == 0 {
		return
	}
	info := rapid.SampledFrom(m.waits).Draw(t, "waiting")
	require.NoError(t, m.log.AwaitSynced(info))
	if info.LastOffset < m.end() { // it was not cut off
		m.acked = max(m.acked, info.LastOffset+1)
	}
}

func (m *owing) sync(t *rapid.T) {
	require.NoError(t, m.log.Sync())
	m.settled(t)
	m.safe = m.end()
}

func (m *owing) settle(t *rapid.T) {
	require.NoError(t, m.log.Settle())
	m.settled(t)
}

func (m *owing) settled(t *rapid.T) {
	require.Equal(t, m.end(), m.log.LogEndOffset())
	m.exact = true
	for _, w := range m.waits {
		require.NoError(t, m.log.AwaitSynced(w))
	}
	m.waits = nil
}

func (m *owing) follow(t *rapid.T) {
	var all []byte
	for range rapid.IntRange(1, 6).Draw(t, "batches") {
		b := m.batch(t)
		m.batches = append(m.batches, b)
		all = append(all, b...)
	}
	_, err := m.log.AppendAsFollower(all, m.epoch)
	require.NoError(t, err)
	m.ack(t)
}

func (m *owing) truncate(t *rapid.T) {
	to := rapid.Int64Range(m.base, m.end()+1).Draw(t, "to")
	from, err := m.log.Truncate(to)
	require.NoError(t, err)
	require.Equal(t, m.end(), from, "what was owed is paid first")
	cut := false
	for m.end() > to {
		m.batches, cut = m.batches[:len(m.batches)-1], true
	}
	m.settled(t)
	m.acked, m.safe = min(m.acked, m.end()), min(m.safe, m.end())
	if cut {
		m.safe = m.end()
	}
}

func (m *owing) reset(t *rapid.T) {
	m.base = rapid.Int64Range(0, m.end()+5).Draw(t, "offset")
	require.NoError(t, m.log.Reset(m.base))
	m.batches, m.acked, m.safe = nil, m.base, m.base
	m.settled(t)
}

// configure raises flush.messages for as long as nobody appends.
func (m *owing) configure(t *rapid.T) {
	if m.cfg.FlushMessages == 1 {
		m.log.SetConfig(partition.Config{SegmentBytes: m.cfg.SegmentBytes})
		m.settle(t)
		m.log.SetConfig(m.cfg)
		m.exact = false
	}
}

func (m *owing) crash(t *rapid.T) {
	require.NoError(t, m.log.Close())
	m.open(t)
	m.exact = false
	require.Equal(t, m.end(), m.log.LogEndOffset(), "all that was written")
	if rapid.Bool().Draw(t, "a new role") {
		m.settle(t)
	}
}

func (m *owing) powerLoss(t *rapid.T) {
	shown := m.log.LogEndOffset()
	m.disk.PowerLoss()
	_ = m.log.Close()
	m.open(t)
	end, safe := m.log.LogEndOffset(), m.safe
	if m.exact && m.cfg.FlushMessages < math.MaxInt64 {
		safe = max(safe, shown-m.cfg.FlushMessages+1)
	}
	require.GreaterOrEqual(t, end, safe)
	for m.end() > end {
		m.batches = m.batches[:len(m.batches)-1]
	}
	require.Equal(t, end, m.end(), "a batch is there or not")
	m.acked, m.safe, m.exact = min(m.acked, end), end, true
}

func (m *owing) check(t *rapid.T) {
	shown := m.log.LogEndOffset()
	require.LessOrEqual(t, m.acked, shown)
	require.LessOrEqual(t, shown, m.end())
	got, err := m.log.Read(nil, m.log.LogStartOffset(), math.MaxInt64, 1<<20, true)
	require.NoError(t, err)
	size := int64(0)
	for _, b := range m.batches {
		if b.NextOffset() > shown {
			break
		}
		require.Equal(t, []byte(b), got[size:size+b.Size()])
		size += b.Size()
	}
	require.Len(t, got, int(size))
	require.Equal(t, size, m.log.Size())
}
