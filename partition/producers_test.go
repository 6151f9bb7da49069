package partition_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// A sender is an idempotent producer.
type sender struct {
	t     *testing.T
	log   *partition.Log
	id    int64
	epoch int16
}

func (s sender) batch(sequence int32, n int) []byte {
	return batchtest.Spec{Records: make([]batchtest.Record, n), Producer: &batchtest.Producer{ID: s.id, Epoch: s.epoch, Sequence: sequence}}.Bytes()
}

func (s sender) send(sequence int32, n int) (partition.AppendInfo, error) {
	return s.log.AppendAsLeader(s.batch(sequence, n), 0, now)
}

func (s sender) ok(sequence int32, n int) partition.AppendInfo {
	s.t.Helper()
	info, err := s.send(sequence, n)
	require.NoError(s.t, err)
	require.False(s.t, info.Duplicate)
	return info
}

func (s sender) duplicate(sequence int32, n int, of partition.AppendInfo) {
	s.t.Helper()
	end := s.log.LogEndOffset()
	info, err := s.send(sequence, n)
	require.NoError(s.t, err)
	require.True(s.t, info.Duplicate)
	require.Equal(s.t, [3]int64{of.BaseOffset, of.LastOffset, of.Timestamp}, [3]int64{info.BaseOffset, info.LastOffset, info.Timestamp})
	require.Equal(s.t, end, s.log.LogEndOffset(), "nothing is appended again")
}

func (s sender) refused(sequence int32, n int, want error) {
	s.t.Helper()
	_, err := s.send(sequence, n)
	require.ErrorIs(s.t, err, want)
}

func TestIdempotentProducer(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{})
	p := sender{t, l, 7, 0}
	a := p.ok(0, 3)
	b := p.ok(3, 2)
	p.duplicate(0, 3, a)
	p.duplicate(3, 2, b)
	p.refused(6, 1, metadata.ErrOutOfOrderSequenceNumber) // 5 is missing
	p.refused(0, 2, metadata.ErrOutOfOrderSequenceNumber) // like a known one, but shorter
	p.refused(3, 3, metadata.ErrOutOfOrderSequenceNumber)
	other := sender{t, l, 8, 0}
	other.ok(42, 1) // of a producer that is not known, any sequence is taken

	newer := sender{t, l, 7, 1}
	newer.refused(5, 1, metadata.ErrOutOfOrderSequenceNumber) // a new epoch begins at 0
	newer.ok(0, 1)
	p.refused(5, 1, metadata.ErrInvalidProducerEpoch)
	p.refused(0, 3, metadata.ErrInvalidProducerEpoch) // even what it sent before
	newer.refused(3, 2, metadata.ErrOutOfOrderSequenceNumber)
}

func TestFiveBatchesAreRemembered(t *testing.T) {
	p := sender{t, open(t, vfs.NewMem(1), partition.Config{LogAppendTime: true}), 7, 0}
	var sent []partition.AppendInfo
	for i := range int32(8) {
		sent = append(sent, p.ok(i, 1))
	}
	for i := range int32(8) {
		if i < 3 {
			p.refused(i, 1, metadata.ErrOutOfOrderSequenceNumber)
		} else {
			p.duplicate(i, 1, sent[i])
		}
	}
}

func TestSequencesWrap(t *testing.T) {
	p := sender{t, open(t, vfs.NewMem(1), partition.Config{}), 7, 0}
	p.ok(math.MaxInt32-3, 3) // up to the last but one
	over := p.ok(math.MaxInt32, 3)
	p.duplicate(math.MaxInt32, 3, over)
	p.refused(3, 1, metadata.ErrOutOfOrderSequenceNumber)
	p.ok(2, 1)
	q := sender{t, p.log, 8, 0}
	q.ok(math.MaxInt32-1, 2)
	q.refused(1, 1, metadata.ErrOutOfOrderSequenceNumber)
	q.ok(0, 1)
}

// A follower, a restarted broker and a log that was cut know what a log knows that
// was only ever appended to.
func TestProducersAreAFunctionOfTheLog(t *testing.T) {
	disk := vfs.NewMem(1)
	cfg := partition.Config{SegmentBytes: 400}
	l := open(t, disk, cfg)
	p, quiet := sender{t, l, 7, 3}, sender{t, l, 8, 0}
	q := quiet.ok(0, 1)
	var sent []partition.AppendInfo
	for i := range int32(20) {
		sent = append(sent, p.ok(i, 1))
	}
	check := func(t *testing.T, l *partition.Log, last int) {
		p, quiet := sender{t, l, 7, 3}, sender{t, l, 8, 0}
		quiet.duplicate(0, 1, q)
		for i := last - 4; i <= last; i++ {
			p.duplicate(int32(i), 1, sent[i])
		}
		p.refused(int32(last-5), 1, metadata.ErrOutOfOrderSequenceNumber)
		p.refused(int32(last+2), 1, metadata.ErrOutOfOrderSequenceNumber)
		sender{t, l, 7, 2}.refused(0, 1, metadata.ErrInvalidProducerEpoch)
	}
	t.Run("the log itself", func(t *testing.T) { check(t, l, 19) })
	t.Run("a follower", func(t *testing.T) {
		all, err := l.Read(nil, 0, l.LogEndOffset(), 1<<20, true)
		require.NoError(t, err)
		f := open(t, vfs.NewMem(2), partition.Config{})
		_, err = f.AppendAsFollower(all, 0)
		require.NoError(t, err)
		check(t, f, 19)
	})
	l, _ = reopen(t, l, disk, cfg)
	t.Run("after a restart", func(t *testing.T) { check(t, l, 19) })
	_, err := l.Truncate(sent[12].BaseOffset)
	require.NoError(t, err)
	t.Run("after a truncation", func(t *testing.T) { check(t, l, 11) })
	p.log = l
	again := p.ok(12, 1)
	require.Equal(t, sent[12].BaseOffset, again.BaseOffset)
}

func TestSilentProducersAreForgotten(t *testing.T) {
	l := open(t, vfs.NewMem(1), partition.Config{ProducerIDExpiration: time.Minute})
	p := sender{t, l, 7, 0}
	p.ok(0, 1)
	_, err := l.AppendAsLeader(p.batch(0, 1), 0, now.Add(59*time.Second))
	require.NoError(t, err)
	require.EqualValues(t, 1, l.LogEndOffset(), "still known: a duplicate")
	_, err = l.AppendAsLeader(p.batch(5, 1), 0, now.Add(3*time.Minute))
	require.NoError(t, err, "not known any more: any sequence is taken")
	l.ExpireProducers(now.Add(10 * time.Minute))
	p.ok(77, 1)
}
