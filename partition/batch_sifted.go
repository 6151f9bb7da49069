package partition

import (
	"encoding/binary"

	"github.com/brokersim/brokersim/internal/codec"
)

// hasHorizon reports whether the base timestamp is the batch's delete horizon: from
// then on its tombstones may go. Timestamps are counted from it all the same.
func (b Batch) hasHorizon() bool { return b.Attributes()&horizonBit != 0 }

// newest is the largest timestamp of the records that the batch has.
func (b Batch) newest() int64 {
	if b.Count() == 0 {
		return noTimestamp // what MaxTimestamp says was its producer's
	}
	return b.MaxTimestamp()
}

// setSifted makes the header right after records were left out. The offsets and the
// producer's sequence stay, so that both go on behind the batch as they did.
func (b Batch) setSifted(count int32, base, newest int64, horizon bool) {
	attributes := b.Attributes()
	if horizon {
		attributes |= horizonBit
	}
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(attributes))
	binary.BigEndian.PutUint64(b[atBaseTimestamp:], uint64(base))
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], uint64(newest))
	binary.BigEndian.PutUint32(b[atCount:], uint32(count))
	b.setCodec(b.Codec())
}

// appendEmptied appends the batch without its records.
func (b Batch) appendEmptied(out []byte) []byte {
	at := len(out)
	out = append(out, b[:HeaderSize]...)
	e := Batch(out[at:])
	binary.BigEndian.PutUint16(e[atAttributes:], uint16(b.Attributes()&^horizonBit))
	binary.BigEndian.PutUint64(e[atBaseTimestamp:], uint64(1<<64-1)) // -1: none
	binary.BigEndian.PutUint32(e[atCount:], 0)
	e.setCodec(codec.None)
	return out
}
