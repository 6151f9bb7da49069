package partition

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
)

// A snapshot is what a log knew at an offset: its idempotent producers, in the
// format of Kafka's ProducerStateManager, and behind that what Kafka's readers
// leave alone, under the same checksum.
//
//	version int16 = 1 │ CRC-32C uint32 of what follows │ count int32, and for each producer
//	  id int64 │ epoch int16 │ last sequence int32 │ last offset int64 │ offset delta int32 │
//	  timestamp int64 │ coordinator epoch int32 = -1 │ first offset of its transaction int64 = -1
//	version int16 = 2, here Kafka's end │ for each producer, in the same order
//	  count int8, and for each batch that is remembered, oldest first
//	    last sequence int32 │ last offset int64 │ offset delta int32 │ leader's timestamp int64
//	count int32, and for each leader epoch: epoch int32 │ start int64
//	count int32, and for each segment: a seal
type snapshot struct {
	producers map[int64]*producer

	// What only we write. Everything below the offset was durable before, and a
	// log of these segments has these epochs.
	proof  bool
	epochs epochStarts
	seals  []seal // oldest segment first
}

// A seal says what a segment was when all of it was durable. A segment that was
// still appended to afterwards begins with that.
type seal struct {
	base, size   int64
	index, times fileSum
	newest       int64  // the largest timestamp, noTimestamp if there is none
	newestAt     int64  // see timeIndex
	headers      uint32 // what they add up to; see milestone
}

// end is the milestone at the end.
func (x seal) end() milestone { return milestone{uint32(x.size), x.headers} }

// A fileSum is the number of entries in an index and the checksum of their bytes.
type fileSum struct {
	entries int32
	crc     uint32
}

const (
	snapshotVersion = 1 // Kafka's
	proofVersion    = 2 // ours
	atSnapshotBody  = 6 // version and checksum

	snapshotEntrySize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
	sealSize          = 8 + 8 + 2*(4+4) + 8 + 8 + 4
	epochStartSize    = 4 + 8
)

// encodeSnapshot is deterministic: the same state has the same bytes.
func encodeSnapshot(s snapshot) []byte {
	be := binary.BigEndian
	ids := slices.Sorted(maps.Keys(s.producers))
	b := be.AppendUint32(be.AppendUint32(be.AppendUint16(nil, snapshotVersion), 0), uint32(len(ids)))
	for _, id := range ids {
		b = appendProducer(b, id, s.producers[id])
	}
	if s.proof {
		b = be.AppendUint16(b, proofVersion)
		for _, id := range ids {
			b = appendRemembered(b, s.producers[id])
		}
		b = be.AppendUint32(b, uint32(len(s.epochs)))
		for _, e := range s.epochs {
			b = be.AppendUint64(be.AppendUint32(b, uint32(e.Epoch)), uint64(e.Offset))
		}
		b = be.AppendUint32(b, uint32(len(s.seals)))
		for _, x := range s.seals {
			b = appendSeal(b, x)
		}
	}
	be.PutUint32(b[2:], crc32.Checksum(b[atSnapshotBody:], castagnoli))
	return b
}

// appendProducer appends Kafka's entry, which knows the newest batch alone.
func appendProducer(b []byte, id int64, p *producer) []byte {
	be := binary.BigEndian
	newest := sent{last: -1, baseOffset: -1, endOffset: -1}
	if p.n > 0 {
		newest = *p.newest()
	}
	b = be.AppendUint64(b, uint64(id))
	b = be.AppendUint16(b, uint16(p.epoch))
	b = be.AppendUint32(b, uint32(newest.last))
	b = be.AppendUint64(b, uint64(newest.endOffset))
	b = be.AppendUint32(b, uint32(newest.endOffset-newest.baseOffset))
	b = be.AppendUint64(b, uint64(p.last))
	b = be.AppendUint32(b, ^uint32(0)) // there are no transactions
	return be.AppendUint64(b, ^uint64(0))
}

func appendRemembered(b []byte, p *producer) []byte {
	be := binary.BigEndian
	n := min(p.n, remembered)
	b = append(b, byte(n))
	for i := p.n - n; i < p.n; i++ {
		x := p.ring[i%remembered]
		b = be.AppendUint32(b, uint32(x.last))
		b = be.AppendUint64(b, uint64(x.endOffset))
		b = be.AppendUint32(b, uint32(x.endOffset-x.baseOffset))
		b = be.AppendUint64(b, uint64(x.stamp))
	}
	return b
}

func appendSeal(b []byte, x seal) []byte {
	be := binary.BigEndian
	b = be.AppendUint64(be.AppendUint64(b, uint64(x.base)), uint64(x.size))
	for _, sum := range []fileSum{x.index, x.times} {
		b = be.AppendUint32(be.AppendUint32(b, uint32(sum.entries)), sum.crc)
	}
	b = be.AppendUint64(be.AppendUint64(b, uint64(x.newest)), uint64(x.newestAt))
	return be.AppendUint32(b, x.headers)
}
