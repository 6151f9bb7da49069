// Package batchtest builds record batches for tests, with kmsg's encoders and so
// without any code that the tests are to check.
//
//	batchtest.NewBatch("a", "b")                        // two records, as a plain client sends them
//	batchtest.Spec{Codec: codec.ZSTD, ...}.Bytes()      // with everything else that a batch can say
package batchtest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/codec"
)

// Timestamp, in milliseconds, is what records have that say nothing else: the
// beginning of virtual time.
const Timestamp = 946684800000

// A Record is one record. A nil key or value is null.
type Record struct {
	Key, Value []byte
	Headers    []kmsg.Header
	Timestamp  int64 // in ms; 0 means Timestamp
}

// A Producer stamps a batch of an idempotent producer.
type Producer struct {
	ID       int64
	Epoch    int16
	Sequence int32 // of the first record
}

// Spec is a batch to be built. What is left out is as a plain client would have it.
type Spec struct {
	BaseOffset    int64
	LeaderEpoch   int32
	Codec         codec.Type
	Producer      *Producer
	Attributes    int16 // more of them
	Transactional bool
	Control       bool
	Records       []Record
}

// NewBatch returns a batch with a record for each value.
func NewBatch(values ...string) []byte { return Spec{Records: Values(values...)}.Bytes() }

// At returns the batch that a leader of that epoch would hold at offset.
func At(offset int64, epoch int32, values ...string) []byte {
	return Spec{BaseOffset: offset, LeaderEpoch: epoch, Records: Values(values...)}.Bytes()
}

// Sized returns a batch of n records whose values have size bytes each.
func Sized(n, size int) []byte {
	s := Spec{Records: make([]Record, n)}
	for i := range s.Records {
		s.Records[i].Value = make([]byte, size)
		for j := range s.Records[i].Value {
			s.Records[i].Value[j] = byte(i*31 + j*7)
		}
	}
	return s.Bytes()
}

// Values makes records without keys.
func Values(values ...string) []Record {
	rs := make([]Record, len(values))
	for i, v := range values {
		rs[i].Value = []byte(v)
	}
	return rs
}

// Bytes encodes the batch. It panics if its records cannot be compressed.
func (s Spec) Bytes() []byte {
	b := kmsg.NewRecordBatch()
	b.FirstOffset, b.PartitionLeaderEpoch, b.Magic = s.BaseOffset, s.LeaderEpoch, 2
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	if p := s.Producer; p != nil {
		b.ProducerID, b.ProducerEpoch, b.FirstSequence = p.ID, p.Epoch, p.Sequence
	}
	b.Attributes = int16(s.Codec) | s.Attributes
	if s.Transactional {
		b.Attributes |= 1 << 4
	}
	if s.Control {
		b.Attributes |= 1 << 5
	}
	b.NumRecords, b.LastOffsetDelta = int32(len(s.Records)), int32(len(s.Records))-1
	records, first, newest := encode(s.Records)
	b.FirstTimestamp, b.MaxTimestamp = first, newest
	var err error
	if b.Records, err = codec.Compress(s.Codec, records); err != nil {
		panic(err)
	}
	return Seal(b.AppendTo(nil))
}

// Seal sets the length and the checksum of a batch right, after a test has changed
// it, and returns it.
func Seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func encode(rs []Record) (b []byte, first, newest int64) {
	for i, r := range rs {
		ts := r.Timestamp
		if ts == 0 {
			ts = Timestamp
		}
		if i == 0 {
			first, newest = ts, ts
		}
		newest = max(newest, ts)
		k := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: ts - first, Key: r.Key, Value: r.Value, Headers: r.Headers}
		body := k.AppendTo(nil)[1:] // without the length, which is 0 in one byte
		b = append(binary.AppendVarint(b, int64(len(body))), body...)
	}
	return b, first, newest
}
