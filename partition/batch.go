package partition

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
	"math"

	"github.com/brokersim/brokersim/internal/codec"
)

// A Batch is the bytes of one record batch of message format 2, seen through its
// header. The accessors may be used on any HeaderSize bytes; doc.go draws them.
type Batch []byte

// HeaderSize is what a batch has before its records.
const HeaderSize = 61

// Where the fields of the header lie.
const (
	atBaseOffset      = 0
	atLength          = 8 // of what follows it
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21 // the CRC covers everything from here
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57

	lengthOverhead = 12 // the bytes of a batch that its length does not count
)

// The bits of the attributes.
const (
	codecMask        = 0x07
	logAppendTimeBit = 1 << 3
	transactionalBit = 1 << 4
	controlBit       = 1 << 5
	horizonBit       = 1 << 6
	knownBits        = codecMask | logAppendTimeBit | transactionalBit | controlBit | horizonBit
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (b Batch) i16(at int) int16 { return int16(binary.BigEndian.Uint16(b[at:])) }
func (b Batch) i32(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) i64(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }

// BaseOffset is the offset of the first record that the batch was made with.
func (b Batch) BaseOffset() int64 { return b.i64(atBaseOffset) }

// LastOffset is the offset of the last one.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the offset that the next batch begins at, or lies above.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// Size is the number of bytes of the whole batch, as its header says.
func (b Batch) Size() int64 { return int64(b.i32(atLength)) + lengthOverhead }

// LeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) LeaderEpoch() int32 { return b.i32(atLeaderEpoch) }

// Magic is the message format.
func (b Batch) Magic() int8 { return int8(b[atMagic]) }

// CRC is the checksum as stored.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[atCRC:]) }

// Attributes are the batch's flags; the methods below name them.
func (b Batch) Attributes() int16 { return b.i16(atAttributes) }

// Codec is how the records are compressed.
func (b Batch) Codec() codec.Type { return codec.Type(b.Attributes() & codecMask) }

// LogAppendTime reports whether MaxTimestamp is the leader's time, for all records.
func (b Batch) LogAppendTime() bool { return b.Attributes()&logAppendTimeBit != 0 }

// Transactional reports whether the batch is part of a transaction.
func (b Batch) Transactional() bool { return b.Attributes()&transactionalBit != 0 }

// Control reports whether the records are for the protocol and not for clients.
func (b Batch) Control() bool { return b.Attributes()&controlBit != 0 }

// LastOffsetDelta is the last record's offset, counted from the base.
func (b Batch) LastOffsetDelta() int32 { return b.i32(atLastOffsetDelta) }

// BaseTimestamp, in milliseconds, is what the records' timestamps are counted from.
func (b Batch) BaseTimestamp() int64 { return b.i64(atBaseTimestamp) }

// MaxTimestamp is the newest timestamp in it, in milliseconds.
func (b Batch) MaxTimestamp() int64 { return b.i64(atMaxTimestamp) }

// ProducerID is the idempotent producer's, or -1.
func (b Batch) ProducerID() int64 { return b.i64(atProducerID) }

// ProducerEpoch is the number of the producer's incarnation.
func (b Batch) ProducerEpoch() int16 { return b.i16(atProducerEpoch) }

// BaseSequence is the producer's number of the first record.
func (b Batch) BaseSequence() int32 { return b.i32(atBaseSequence) }

// LastSequence is its number of the last one: after 2^31-1 comes 0.
func (b Batch) LastSequence() int32 { return addSequence(b.BaseSequence(), b.LastOffsetDelta()) }

// Count is the number of records, as the header says.
func (b Batch) Count() int32 { return b.i32(atCount) }

// Records is what follows the header, possibly compressed.
func (b Batch) Records() []byte { return b[HeaderSize:] }

// Checksum computes what CRC should be.
func (b Batch) Checksum() uint32 { return crc32.Checksum(b[atAttributes:], castagnoli) }

// SetBaseOffset patches the base offset, which the CRC does not cover.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[atBaseOffset:], uint64(offset))
}

// SetLeaderEpoch patches the leader epoch, which the CRC does not cover.
func (b Batch) SetLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[atLeaderEpoch:], uint32(epoch))
}

func (b Batch) setMaxTimestamp(ms int64, logAppendTime bool) {
	if logAppendTime {
		binary.BigEndian.PutUint16(b[atAttributes:], uint16(b.Attributes()|logAppendTimeBit))
	}
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], uint64(ms))
	b.seal()
}

// setCodec says how the records, which have just been put in, are compressed.
func (b Batch) setCodec(t codec.Type) {
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-lengthOverhead))
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(b.Attributes()&^codecMask|int16(t)))
	b.seal()
}

func (b Batch) seal() { binary.BigEndian.PutUint32(b[atCRC:], b.Checksum()) }

// headerFault says what makes a header impossible, whatever follows it; "" if it
// is sane. It looks at HeaderSize bytes.
func (b Batch) headerFault() string {
	switch {
	case b.Size() < HeaderSize:
		return "its length is too small for a batch"
	case b.Magic() != 2:
		return "its message format is not 2"
	case b.BaseOffset() < 0 || b.LastOffsetDelta() < 0 || b.BaseOffset() > math.MaxInt64-math.MaxInt32-1:
		return "its offsets are impossible"
	case b.Count() < 0:
		return "its number of records is negative"
	case b.Attributes()&^knownBits != 0:
		return "its attributes are unknown"
	}
	return ""
}

// Batches yields the batches in b, as far as they are whole and have a sane
// header. It checks no CRC.
func Batches(b []byte) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		for {
			next, rest := cut(b)
			if next == nil || !yield(next) {
				return
			}
			b = rest
		}
	}
}

// cut takes the first batch off b; nil if b does not begin with a whole one.
func cut(b []byte) (Batch, []byte) {
	if len(b) < HeaderSize {
		return nil, b
	}
	h := Batch(b)
	if h.headerFault() != "" || h.Size() > int64(len(b)) {
		return nil, b
	}
	return h[:h.Size():h.Size()], b[h.Size():]
}

// addSequence counts n on from a producer's sequence number.
func addSequence(seq, n int32) int32 {
	if seq > math.MaxInt32-n {
		return n - (math.MaxInt32 - seq) - 1
	}
	return seq + n
}

// subtractSequence counts n back.
func subtractSequence(seq, n int32) int32 {
	if seq < n {
		return math.MaxInt32 - (n - seq) + 1
	}
	return seq - n
}
