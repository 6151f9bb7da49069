package partition

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
)

// EpochStart is the offset of the first record of a leader epoch.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

// EpochEnd is where a leader epoch ends in a log: the offset of the first record
// of the next epoch that the log knows.
type EpochEnd struct {
	Epoch  int32
	Offset int64
}

// UndefinedEpochEnd answers for an epoch that a log cannot say anything about.
var UndefinedEpochEnd = EpochEnd{-1, -1}

// epochStarts is the leader epoch cache (KIP-101): one entry for each epoch that a
// log has records of, both columns strictly increasing, and perhaps one more for
// a leader that has appended nothing yet. Its methods return changed copies.
type epochStarts []EpochStart

func (e epochStarts) latest() int32 {
	if len(e) == 0 {
		return -1
	}
	return e[len(e)-1].Epoch
}

// at returns the epoch that a record at offset has; -1 if that is not known.
func (e epochStarts) at(offset int64) int32 {
	i, found := slices.BinarySearchFunc(e, offset, func(s EpochStart, offset int64) int { return cmp.Compare(s.Offset, offset) })
	if !found {
		i--
	}
	if i < 0 {
		return -1
	}
	return e[i].Epoch
}

// contradict says why a batch is not the one that the log had there; "" if it may be.
// The checksum of a batch does not cover its epoch. What begins below the first entry
// may be of any older epoch.
func (e epochStarts) contradict(h Batch) string {
	if len(e) > 0 && h.BaseOffset() < e[0].Offset && h.LeaderEpoch() <= e[0].Epoch {
		return ""
	}
	if at := e.at(h.BaseOffset()); h.LeaderEpoch() != at && max(h.LeaderEpoch(), at) >= 0 {
		return fmt.Sprintf("its epoch is %d and not %d", h.LeaderEpoch(), at)
	}
	return ""
}

// expects reports whether a batch has the epoch that it must have by a checkpoint, which has
// each before its first batch. Below the log start it knows no more than what is too new.
func (e epochStarts) expects(h Batch) bool {
	if len(e) > 0 && h.NextOffset() <= e[0].Offset {
		return h.LeaderEpoch() <= e[0].Epoch
	}
	return h.LeaderEpoch() == e.at(h.LastOffset())
}

// assign says that epoch begins at offset. Entries that contradict it give way; it
// changes nothing if the epoch is the latest and has begun already.
func (e epochStarts) assign(epoch int32, offset int64) epochStarts {
	if epoch < 0 {
		return e
	}
	if n := len(e); n > 0 && e[n-1].Epoch == epoch && e[n-1].Offset <= offset {
		return e
	}
	keep := len(e)
	for keep > 0 && (e[keep-1].Epoch >= epoch || e[keep-1].Offset >= offset) {
		keep--
	}
	return append(e[:keep:keep], EpochStart{epoch, offset})
}

// truncateFromEnd forgets the epochs that begin at offset or above.
func (e epochStarts) truncateFromEnd(offset int64) epochStarts {
	keep := len(e)
	for keep > 0 && e[keep-1].Offset >= offset {
		keep--
	}
	return e[:keep:keep]
}

// truncateFromStart forgets what lies below a log's new start. The epoch that
// the start falls into begins there now.
func (e epochStarts) truncateFromStart(offset int64) epochStarts {
	first := 0
	for first+1 < len(e) && e[first+1].Offset <= offset {
		first++
	}
	if len(e) == 0 || e[first].Offset >= offset && first == 0 {
		return e
	}
	e = slices.Clone(e[first:])
	e[0].Offset = max(e[0].Offset, offset)
	return e
}

// refinedBy is for a log in which offsets are missing: an epoch began where kept says, the
// checkpoint, although a compaction has taken its first batches, or all of them. If a
// batch contradicts the checkpoint only the batches are believed.
func (e epochStarts) refinedBy(kept epochStarts) epochStarts {
	for _, s := range e {
		i, found := slices.BinarySearchFunc(kept, s.Offset, func(k EpochStart, offset int64) int { return cmp.Compare(k.Offset, offset) })
		if !found {
			i--
		}
		if i < 0 || kept[i].Epoch != s.Epoch {
			return e
		}
	}
	return kept
}

// endOffsetFor answers OffsetForLeaderEpoch (KIP-279): the largest known epoch not
// above the one asked for, and its end. logEnd is the end of the latest.
func (e epochStarts) endOffsetFor(epoch int32, logEnd int64) EpochEnd {
	if epoch < 0 || len(e) == 0 || epoch > e.latest() {
		return UndefinedEpochEnd
	}
	if epoch == e.latest() {
		return EpochEnd{epoch, logEnd}
	}
	next, _ := slices.BinarySearchFunc(e, epoch+1, func(s EpochStart, epoch int32) int { return int(s.Epoch) - int(epoch) })
	if next == 0 {
		return EpochEnd{epoch, e[0].Offset}
	}
	return EpochEnd{e[next-1].Epoch, e[next].Offset}
}

// publishedEpochs is an epoch cache that one writer replaces and anybody reads.
type publishedEpochs struct{ list atomic.Pointer[epochStarts] }

func (p *publishedEpochs) load() epochStarts {
	if list := p.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (p *publishedEpochs) store(e epochStarts) { p.list.Store(&e) }

// EndOffsetForEpoch returns where epoch, or the largest epoch below it that the
// log knows, ends. It is undefined for epochs above the latest and for a log
// without any.
func (l *Log) EndOffsetForEpoch(epoch int32) EpochEnd {
	return l.epochs.load().endOffsetFor(epoch, l.LogEndOffset())
}

// LatestEpoch returns the newest epoch in the log; -1 if it knows none.
func (l *Log) LatestEpoch() int32 { return l.epochs.load().latest() }

// Epochs returns the epochs that the log knows, oldest first.
func (l *Log) Epochs() []EpochStart { return slices.Clone(l.epochs.load()) }

// setEpochs publishes e and makes it durable, if it is a change. The writer's slot
// is held.
func (l *Log) setEpochs(e epochStarts) error {
	if slices.Equal(e, l.epochs.load()) {
		return nil
	}
	if err := l.writeEpochs(e); err != nil {
		return l.fail("write the leader epochs", err)
	}
	l.epochs.store(e)
	return nil
}
