package partition

import (
	"encoding/binary"
	"math"

	"github.com/brokersim/brokersim/metadata"
)

// A walk is what going through the records of a batch finds.
type walk struct {
	minDelta, maxDelta int64 // of the timestamps, from the base timestamp
}

// fault is what is wrong with a record; "" is nothing.
type fault string

// walkRecords goes through count records and checks that they are what the header
// promised: offsets 0, 1, 2, ..., lengths that fit, and nothing behind the last.
// With needKeys every record must have a key. It allocates nothing unless it fails.
func walkRecords(b []byte, count int32, needKeys bool) (walk, error) {
	w := walk{math.MaxInt64, math.MinInt64}
	for i := range count {
		size, n := varint(b)
		if n == 0 || size < 0 || size > int64(len(b)-n) {
			return w, invalid(i, "its length does not fit the batch")
		}
		why := w.record(b[n:n+int(size)], int64(i), needKeys)
		if why != "" {
			return w, invalid(i, string(why))
		}
		b = b[n+int(size):]
	}
	if len(b) > 0 {
		return w, invalid(count-1, "bytes follow the last record")
	}
	return w, nil
}

func invalid(i int32, why string) error {
	return &RecordError{Index: int(i), Why: why, Err: metadata.ErrInvalidRecord}
}

// record checks one record without its length.
func (w *walk) record(b []byte, offset int64, needKey bool) fault {
	if len(b) == 0 {
		return "it is empty"
	}
	b = b[1:] // attributes: unused
	delta, n := varint(b)
	if n == 0 {
		return "its timestamp is cut off"
	}
	w.minDelta, w.maxDelta = min(w.minDelta, delta), max(w.maxDelta, delta)
	b = b[n:]
	if delta, n = varint(b); n == 0 || delta != offset {
		return "its offset is not the next one"
	}
	b = b[n:]
	key, b, ok := field(b)
	if !ok {
		return "its key does not fit"
	}
	if key < 0 && needKey {
		return "it has no key, and the topic is compacted"
	}
	if _, b, ok = field(b); !ok {
		return "its value does not fit"
	}
	return headers(b)
}

func headers(b []byte) fault {
	count, n := varint(b)
	if n == 0 || count < 0 || count > int64(len(b)) {
		return "its number of headers is wrong"
	}
	b = b[n:]
	for range count {
		size, rest, ok := field(b)
		if !ok || size < 0 {
			return "the key of a header does not fit"
		}
		if _, b, ok = field(rest); !ok {
			return "the value of a header does not fit"
		}
	}
	if len(b) > 0 {
		return "it is longer than its content"
	}
	return ""
}

// field skips bytes behind their length; -1 stands for null.
func field(b []byte) (size int64, rest []byte, ok bool) {
	size, n := varint(b)
	if n == 0 || size < -1 || size > int64(len(b)-n) {
		return 0, b, false
	}
	return size, b[n+int(max(size, 0)):], true
}

// varint reads a zigzag number; n is 0 if there is none.
func varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 { // by far the most frequent
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	v, n = binary.Varint(b)
	return v, max(n, 0)
}
