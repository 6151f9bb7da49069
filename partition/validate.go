package partition

import (
	"errors"
	"math"
	"time"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/metadata"
)

// A validator checks what a client wants appended (Kafka's LogValidator). It holds
// the buffers that unpacking takes, so that they are used again; it is for one
// goroutine at a time.
type validator struct{ unpack codec.Decoder }

// validate checks one batch of a client and brings its timestamps into line,
// patching b in place. What it returns is b, unless the topic wants another
// compression than the batch has: then it is a new batch.
func (v *validator) validate(b []byte, cfg *Config, now time.Time) (Batch, error) {
	batch, err := single(b)
	if err != nil {
		return nil, err
	}
	if err := checkSize(batch, cfg); err != nil {
		return nil, err
	}
	if batch.Checksum() != batch.CRC() {
		return nil, refused{metadata.ErrCorruptMessage, "its checksum is wrong"}
	}
	if err := checkHeader(batch); err != nil {
		return nil, err
	}
	records, err := v.unpack.Decompress(batch.Codec(), batch.Records())
	if errors.Is(err, codec.ErrTooLarge) {
		return nil, refused{metadata.ErrMessageTooLarge, err.Error()}
	}
	if err != nil {
		return nil, refused{metadata.ErrCorruptMessage, "its records cannot be unpacked: " + err.Error()}
	}
	w, err := walkRecords(records, batch.Count(), cfg.Compacted)
	if err != nil {
		return nil, err
	}
	newest, err := timestamps(batch, w, cfg, now)
	if err != nil {
		return nil, err
	}
	if want, ok := codec.Named(cfg.CompressionType); ok && want != batch.Codec() {
		if batch, err = repack(batch, want, records); err != nil {
			return nil, err
		}
		if err := checkSize(batch, cfg); err != nil {
			return nil, err
		}
	}
	if cfg.LogAppendTime || newest != batch.MaxTimestamp() {
		batch.setMaxTimestamp(newest, cfg.LogAppendTime)
	}
	return batch, nil
}

// refused is why a batch as a whole is not taken.
type refused struct {
	err error // what the client is told
	why string
}

func (r refused) Error() string { return r.why + ": " + r.err.Error() }
func (r refused) Unwrap() error { return r.err }

// single returns the one batch that b must consist of.
func single(b []byte) (Batch, error) {
	if len(b) == 0 {
		return nil, refused{metadata.ErrInvalidRecord, "there is no batch"}
	}
	if len(b) > atMagic && (b[atMagic] == 0 || b[atMagic] == 1) {
		return nil, refused{metadata.ErrUnsupportedForMessageFormat, "it has message format 0 or 1"}
	}
	if len(b) < HeaderSize {
		return nil, refused{metadata.ErrCorruptMessage, "it is shorter than the header of a batch"}
	}
	batch := Batch(b)
	switch size := batch.Size(); {
	case size < HeaderSize || size > int64(len(b)) || batch.Magic() != 2:
		return nil, refused{metadata.ErrCorruptMessage, "its length or message format is wrong"}
	case size < int64(len(b)):
		return nil, refused{metadata.ErrInvalidRecord, "more than one batch for a partition"}
	}
	return batch, nil
}

func checkSize(b Batch, cfg *Config) error {
	if len(b) > cfg.MaxMessageBytes {
		return refused{metadata.ErrMessageTooLarge, "it is larger than max.message.bytes"}
	}
	if len(b) > cfg.SegmentBytes {
		return refused{metadata.ErrMessageTooLarge, "it is larger than segment.bytes"}
	}
	return nil
}

func checkHeader(b Batch) error {
	why, err := "", metadata.ErrInvalidRecord
	switch {
	case b.Count() <= 0:
		why = "it has no records"
	case int64(b.LastOffsetDelta())+1 != int64(b.Count()):
		why = "its number of records contradicts its offsets"
	case b.Control():
		why = "clients may not write control batches"
	case b.Transactional():
		why = "there are no transactions"
	case b.Attributes()&^knownBits != 0:
		why = "its attributes are unknown"
	case b.ProducerID() >= 0 && (b.BaseSequence() < 0 || b.ProducerEpoch() < 0):
		why = "its producer has an id and no sequence number or epoch"
	case b.LogAppendTime():
		why, err = "clients may not set LogAppendTime", metadata.ErrInvalidTimestamp
	case !b.Codec().Known():
		why, err = "it is compressed in an unknown way", metadata.ErrUnsupportedCompressionType
	default:
		return nil
	}
	return refused{err, why}
}

// timestamps returns the newest timestamp that the batch is to have, or an error
// if a record's is out of what the topic accepts. -1 stands for no timestamp and
// is always accepted.
func timestamps(b Batch, w walk, cfg *Config, now time.Time) (newest int64, err error) {
	ms := now.UnixMilli()
	if cfg.LogAppendTime {
		return ms, nil
	}
	oldest, newest := addMillis(b.BaseTimestamp(), w.minDelta), addMillis(b.BaseTimestamp(), w.maxDelta)
	if newest < -1 {
		return 0, refused{metadata.ErrInvalidTimestamp, "a timestamp is negative"}
	}
	if oldest != -1 && oldest < addMillis(ms, -cfg.TimestampBeforeMax.Milliseconds()) {
		return 0, refused{metadata.ErrInvalidTimestamp, "a timestamp is older than message.timestamp.before.max.ms"}
	}
	if newest != -1 && newest > addMillis(ms, cfg.TimestampAfterMax.Milliseconds()) {
		return 0, refused{metadata.ErrInvalidTimestamp, "a timestamp is further ahead than message.timestamp.after.max.ms"}
	}
	return newest, nil
}

// addMillis adds without overflow: what does not fit is as far away as can be.
func addMillis(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

// repack returns the batch with its records compressed in another way. It is the
// only case in which a batch is written anew.
func repack(b Batch, want codec.Type, records []byte) (Batch, error) {
	packed, err := codec.Compress(want, records)
	if err != nil {
		return nil, refused{metadata.ErrUnknownServer, err.Error()}
	}
	fresh := append(append(make(Batch, 0, HeaderSize+len(packed)), b[:HeaderSize]...), packed...)
	fresh.setCodec(want)
	return fresh, nil
}
