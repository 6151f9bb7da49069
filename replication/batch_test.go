package replication

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// A producer is the idempotence of a batch; the zero value has none.
type producer struct {
	id       int64
	epoch    int16
	sequence int32
}

// newBatch returns one record batch with the given values, as a client sends it.
func newBatch(now time.Time, p *producer, values ...string) []byte {
	var records []byte
	for i, value := range values {
		r := kmsg.Record{OffsetDelta: int32(i), Value: []byte(value)}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // its own length takes one byte when it is zero
		records = r.AppendTo(records)
	}
	ms := now.UnixMilli()
	b := kmsg.RecordBatch{
		Magic: 2, PartitionLeaderEpoch: -1,
		LastOffsetDelta: int32(len(values) - 1), FirstTimestamp: ms, MaxTimestamp: ms,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: int32(len(values)), Records: records,
	}
	if p != nil {
		b.ProducerID, b.ProducerEpoch, b.FirstSequence = p.id, p.epoch, p.sequence
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// A stored is one batch as it lies in a log.
type stored struct {
	base   int64
	epoch  int32
	values []string
}

// String tells the first offset, the values and the leader epoch: 7:a,b/e2.
func (s stored) String() string {
	values := strings.Join(s.values, ",")
	if n := len(s.values); n > 4 {
		values = fmt.Sprintf("%s..%s", s.values[0], s.values[n-1])
	}
	return fmt.Sprintf("%d:%s/e%d", s.base, values, s.epoch)
}

// readBatches decodes whole batches.
func readBatches(raw []byte) ([]stored, error) {
	var all []stored
	for len(raw) > 0 {
		if len(raw) < 61 {
			return all, fmt.Errorf("%d bytes are no batch", len(raw))
		}
		n := 12 + int(binary.BigEndian.Uint32(raw[8:]))
		if n > len(raw) {
			return all, fmt.Errorf("a batch of %d bytes in %d", n, len(raw))
		}
		var b kmsg.RecordBatch
		if err := b.ReadFrom(raw[:n]); err != nil {
			return all, err
		}
		s := stored{base: b.FirstOffset, epoch: b.PartitionLeaderEpoch}
		for records := b.Records; len(records) > 0; {
			length, k := binary.Varint(records)
			var r kmsg.Record
			if err := r.ReadFrom(records[:k+int(length)]); err != nil {
				return all, err
			}
			s.values = append(s.values, string(r.Value))
			records = records[k+int(length):]
		}
		all = append(all, s)
		raw = raw[n:]
	}
	return all, nil
}

// inLog is a batch as a leader's log has it: with its offset and leader epoch.
func inLog(batch []byte, offset int64, epoch int32) []byte {
	binary.BigEndian.PutUint64(batch, uint64(offset))
	binary.BigEndian.PutUint32(batch[12:], uint32(epoch))
	return batch
}

// borrowed is how records come that were copied.
func borrowed(batches []byte) []slab.Span { return []slab.Span{slab.Borrow(batches)} }
