package partition

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/metadata"
)

// A KeyValue is a record as those see it who keep a table in a log: no headers.
type KeyValue struct {
	Offset     int64
	Timestamp  int64  // ms since 1970
	Key, Value []byte // nil: null
}

// KeyValues yields the records of batches that Read returned, in order; control
// batches are passed over. What cannot be unpacked or does not fit ends it with
// ErrCorruptMessage. Keys and values are valid until the next step.
func KeyValues(batches []byte) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) {
		var unpack codec.Decoder
		for b := range Batches(batches) {
			if b.Control() {
				continue
			}
			unpacked, err := unpack.Decompress(b.Codec(), b.Records())
			if err != nil {
				yield(KeyValue{}, fmt.Errorf("%w: the batch at offset %d: %w", metadata.ErrCorruptMessage, b.BaseOffset(), err))
				return
			}
			w := b.walk(unpacked)
			for w.next() {
				kv := KeyValue{Offset: b.BaseOffset() + w.offset, Timestamp: b.BaseTimestamp() + w.timestamp, Key: w.key, Value: w.value()}
				if b.LogAppendTime() {
					kv.Timestamp = b.MaxTimestamp()
				}
				if !yield(kv, nil) {
					return
				}
			}
			if w.why != "" {
				yield(KeyValue{}, fmt.Errorf("%w: the batch at offset %d: %s", metadata.ErrCorruptMessage, b.BaseOffset(), w.why))
				return
			}
		}
	}
}

// value is the record's value, nil if it is null.
func (r *record) value() []byte {
	if r.tombstone {
		return nil
	}
	_, n := varint(r.behind) // its offset
	_, value, _ := field(r.behind[n:])
	size, n := varint(value)
	return value[n : n+int(size)]
}

// BatchOf returns a batch of records without a producer, uncompressed, as a client
// would send them. Their offsets are the log's to give; timestamps are all ms.
func BatchOf(records []KeyValue, ms int64) Batch {
	b := make(Batch, HeaderSize, HeaderSize+64*len(records))
	b[atMagic] = 2
	be := binary.BigEndian
	be.PutUint32(b[atLeaderEpoch:], ^uint32(0))
	be.PutUint32(b[atLastOffsetDelta:], uint32(len(records)-1))
	be.PutUint64(b[atBaseTimestamp:], uint64(ms))
	be.PutUint64(b[atMaxTimestamp:], uint64(ms))
	be.PutUint64(b[atProducerID:], ^uint64(0))
	be.PutUint16(b[atProducerEpoch:], ^uint16(0))
	be.PutUint32(b[atBaseSequence:], ^uint32(0))
	be.PutUint32(b[atCount:], uint32(len(records)))
	var body []byte
	for i, kv := range records {
		body = append(body[:0], 0, 0) // attributes; the same timestamp
		body = binary.AppendVarint(body, int64(i))
		body = appendField(body, kv.Key)
		body = appendField(body, kv.Value)
		body = append(body, 0) // headers
		b = binary.AppendVarint(b, int64(len(body)))
		b = append(b, body...)
	}
	be.PutUint32(b[atLength:], uint32(len(b)-lengthOverhead))
	b.seal()
	return b
}

func appendField(b, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(field))), field...)
}
