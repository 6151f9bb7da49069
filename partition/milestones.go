package partition

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync/atomic"
)

// milestoneEntrySize is what a milestone takes in its file.
const milestoneEntrySize = 12

// A milestone is a position in a segment between two batches, and what the headers of
// all batches before it add up to: a checksum that covers what those of the batches leave
// out, the base offset and the leader epoch, and that needs no records to be compared.
type milestone struct{ position, sum uint32 }

// milestones are those of a segment: its beginning, one for about every
// index.interval.bytes, and one behind what they vouch for. The file is ours and not
// Kafka's, and each entry in it has a checksum of its own: so it needs no snapshot to be
// believed, and a difference is the log's fault.
//
// To vouch for a batch that does not follow from the one before it, a milestone is
// written before the batch is, and where offsets may be missing synced before it: without
// gaps only epochs are news, and those are in their checkpoint. What lies behind the newest
// milestone follows: no offset is left out and no epoch begun.
type milestones struct {
	entries[milestone]

	// The writer's.
	base  int64  // the segment's
	sum   uint32 // of all headers so far
	next  int64  // offset behind the last batch; noOffset if nothing follows from it
	epoch int32  // of the last batch

	vouches bool        // the file is there and vouches, from the beginning on
	owed    bool        // it does not yet vouch for all that it has to; recovery's
	ahead   atomic.Bool // the file has to be synced before the batches are
}

// begin makes the list that of an empty segment.
func (m *milestones) begin(base int64) {
	m.base, m.next, m.sum = base, noOffset, firstMilestone(base).sum
	m.add(firstMilestone(base))
}

// firstMilestone tells the segments of a log apart.
func firstMilestone(base int64) milestone {
	return milestone{0, crc32.Checksum(binary.BigEndian.AppendUint64(nil, uint64(base)), castagnoli)}
}

// follows reports whether a batch is what must come next: what it says beyond its
// checksum is no news.
func (m *milestones) follows(h Batch) bool {
	return m.next != noOffset && h.BaseOffset() == m.next && h.LeaderEpoch() == m.epoch
}

// note takes account of a batch appended at position.
func (m *milestones) note(h Batch, position int64, interval int) {
	if position-m.last().at() > int64(interval) {
		m.add(milestone{uint32(position), m.sum})
	}
	m.sum = h.addTo(m.sum)
	m.next, m.epoch = h.NextOffset(), h.LeaderEpoch()
}

// mark makes a milestone of the end, which is at a position, if that is news.
func (m *milestones) mark(position int64) {
	if m.last().at() < position {
		m.add(milestone{uint32(position), m.sum})
	}
}

// cut forgets what lies behind the new end of the segment, which becomes a milestone: what
// is before may have been vouched for by one behind. A flush must follow.
func (m *milestones) cut(end milestone) (shorter bool) {
	m.sum, m.next = end.sum, noOffset
	list := m.load()
	n := countUpTo(list, end.at())
	if n == len(list) {
		return false
	}
	m.keep(n)
	m.mark(end.at())
	return true
}

// floor returns the last milestone at or before a position, and those behind it.
func (m *milestones) floor(position int64) (milestone, []milestone) {
	list := m.load()
	i := countUpTo(list, position)
	return list[i-1], list[i:]
}

func (m *milestones) last() milestone {
	list := m.load()
	return list[len(list)-1]
}

func (m milestone) at() int64 { return int64(m.position) }

// countUpTo counts the milestones at or before a position.
func countUpTo(list []milestone, position int64) int {
	i, found := slices.BinarySearchFunc(list, position, func(m milestone, at int64) int { return int(m.at() - at) })
	if found {
		i++
	}
	return i
}

// addTo adds a header to a sum.
func (b Batch) addTo(sum uint32) uint32 { return crc32.Update(sum, castagnoli, b[:HeaderSize]) }

var milestoneFormat = format[milestone]{
	size: milestoneEntrySize,
	encode: func(b []byte, m milestone) []byte {
		at := len(b)
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, m.position), m.sum)
		return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	},
	decode: func(b []byte) milestone {
		return milestone{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
	},
	follows: func(before, m milestone) bool { return m.position > before.position },
}

// An extent is how far a segment may be read, and what the headers up to there add up
// to. The two change at once.
type extent struct{ packed atomic.Uint64 }

func (e *extent) Store(m milestone) { e.packed.Store(uint64(m.position)<<32 | uint64(m.sum)) }

func (e *extent) Load() int64 { return e.end().at() }

func (e *extent) end() milestone {
	p := e.packed.Load()
	return milestone{uint32(p >> 32), uint32(p)}
}
