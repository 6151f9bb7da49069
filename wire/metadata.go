package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// The layout of a record batch of format 2, as far as it is needed here.
const (
	batchLengthAt = 8
	batchEpochAt  = 12
	batchMagicAt  = 16
	batchCRCAt    = 17
	batchBodyAt   = 21 // what the CRC covers begins here
	batchHeader   = 61
	batchMagic    = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A MetadataEntry is one entry of the metadata log: encoded deltas.
type MetadataEntry struct {
	Offset  int64
	Term    int32
	Payload []byte // shares the memory of the records
}

// MetadataBatch wraps payload as an entry of the log __cluster_metadata: one
// record batch with one record, whose leader epoch is the term.
func MetadataBatch(offset int64, term int32, payload []byte) []byte {
	record := kmsg.Record{Value: payload}
	body := record.AppendTo(nil)
	record.Length = int32(len(body) - 1) // without the length itself, still one byte long
	batch := kmsg.RecordBatch{
		FirstOffset:          offset,
		PartitionLeaderEpoch: term,
		Magic:                batchMagic,
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		NumRecords:           1,
		Records:              record.AppendTo(nil),
	}
	b := batch.AppendTo(make([]byte, 0, batchHeader+len(batch.Records)))
	binary.BigEndian.PutUint32(b[batchLengthAt:], uint32(len(b)-batchEpochAt))
	binary.BigEndian.PutUint32(b[batchCRCAt:], crc32.Checksum(b[batchBodyAt:], castagnoli))
	return b
}

// ReadMetadataBatches yields the entries that records hold. What is damaged or
// cut off ends the iteration with ErrCorruptMessage.
func ReadMetadataBatches(records []byte) iter.Seq2[MetadataEntry, error] {
	return func(yield func(MetadataEntry, error) bool) {
		for at := 0; at < len(records); {
			entry, size, err := readMetadataBatch(records[at:])
			if err != nil {
				yield(MetadataEntry{}, fmt.Errorf("metadata batch at byte %d: %w", at, err))
				return
			}
			if !yield(entry, nil) {
				return
			}
			at += size
		}
	}
}

func readMetadataBatch(b []byte) (e MetadataEntry, size int, err error) {
	corrupt := func(why string) (MetadataEntry, int, error) {
		return MetadataEntry{}, 0, fmt.Errorf("%w: %s", metadata.ErrCorruptMessage, why)
	}
	if len(b) < batchHeader {
		return corrupt("cut off")
	}
	length := int64(int32(binary.BigEndian.Uint32(b[batchLengthAt:])))
	if length < batchHeader-batchEpochAt || length > int64(len(b)-batchEpochAt) {
		return corrupt("wrong length")
	}
	size = batchEpochAt + int(length)
	b = b[:size]
	if b[batchMagicAt] != batchMagic {
		return corrupt("wrong format")
	}
	if crc32.Checksum(b[batchBodyAt:], castagnoli) != binary.BigEndian.Uint32(b[batchCRCAt:]) {
		return corrupt("wrong CRC")
	}
	var batch kmsg.RecordBatch
	if err := batch.ReadFrom(b); err != nil {
		return corrupt(err.Error())
	}
	var record kmsg.Record
	if batch.NumRecords != 1 {
		return corrupt("not one record")
	}
	if err := record.ReadFrom(batch.Records); err != nil {
		return corrupt(err.Error())
	}
	return MetadataEntry{Offset: batch.FirstOffset, Term: batch.PartitionLeaderEpoch, Payload: record.Value}, size, nil
}
