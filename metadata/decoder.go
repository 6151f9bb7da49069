package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed: bytes that are no encoding of deltas, an image or a command.
var ErrMalformed = errors.New("malformed metadata")

// MaxString is the longest string, in bytes, that a Decoder reads.
const MaxString = 64 << 10

// A Decoder reads what an Encoder wrote. It may be given any bytes: it never
// panics, and never allocates more than a small multiple of their length. After
// the first fault every method returns zero and Err says what was wrong.
type Decoder struct {
	buf   []byte
	whole int
	err   error
}

// NewDecoder returns a Decoder of b. What it returns does not share memory with b.
func NewDecoder(b []byte) *Decoder { return &Decoder{buf: b, whole: len(b)} }

// Err returns the first fault, an ErrMalformed with its place.
func (d *Decoder) Err() error { return d.err }

// End returns the first fault, or one if bytes are left over.
func (d *Decoder) End() error {
	if len(d.buf) > 0 {
		d.Fail("%d bytes left over", len(d.buf))
	}
	return d.err
}

// Fail notes a fault that the caller found, unless there is one.
func (d *Decoder) Fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: at byte %d: %s", ErrMalformed, d.whole-len(d.buf), fmt.Sprintf(format, args...))
	}
	d.buf = nil
}

// Version reads a version byte and refuses any but want.
func (d *Decoder) Version(want byte) {
	if v := d.Byte(); d.err == nil && v != want {
		d.Fail("version %d, only %d is known", v, want)
	}
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if len(d.buf) == 0 {
		d.Fail("cut off")
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

// Bool reads a bool.
func (d *Decoder) Bool() bool {
	b := d.Byte()
	if b > 1 {
		d.Fail("%d is no bool", b)
	}
	return b == 1
}

// Uint reads an unsigned number.
func (d *Decoder) Uint() uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 {
		d.Fail("no number")
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

// Int reads a number that may be negative.
func (d *Decoder) Int() int64 {
	v, n := binary.Varint(d.buf)
	if n <= 0 {
		d.Fail("no number")
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

// Int32 reads a number of 32 bits.
func (d *Decoder) Int32() int32 {
	v := d.Int()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.Fail("%d needs more than 32 bits", v)
		return 0
	}
	return int32(v)
}

// Len reads the length of a list whose elements take at least size bytes each. A
// length that cannot fit into the bytes left is a fault, so the caller may
// allocate that many.
func (d *Decoder) Len(size int) int {
	n := d.Uint()
	if n > uint64(len(d.buf)/size) {
		d.Fail("a list of %d in %d bytes", n, len(d.buf))
		return 0
	}
	return int(n)
}

// String reads a string of at most MaxString bytes.
func (d *Decoder) String() string {
	n := d.Len(1)
	if n > MaxString {
		d.Fail("a string of %d bytes, at most %d are allowed", n, MaxString)
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}

// Bytes reads at most limit bytes, into memory of their own; none are nil.
func (d *Decoder) Bytes(limit int) []byte {
	n := d.Len(1)
	if n > limit {
		d.Fail("%d bytes, at most %d are allowed", n, limit)
		return nil
	}
	b := append([]byte(nil), d.buf[:n]...)
	d.buf = d.buf[n:]
	return b
}

// More reports whether there is something left to read.
func (d *Decoder) More() bool { return len(d.buf) > 0 }

// UUID reads a UUID.
func (d *Decoder) UUID() (u UUID) {
	if len(d.buf) < len(u) {
		d.Fail("cut off")
		return u
	}
	d.buf = d.buf[copy(u[:], d.buf):]
	return u
}

// Int32s reads a list of numbers; an empty one is nil.
func (d *Decoder) Int32s() []int32 {
	return List(d, 1, (*Decoder).Int32)
}

// List reads a list of elements that take at least size bytes each; an empty one
// is nil.
func List[T any](d *Decoder, size int, element func(*Decoder) T) []T {
	n := d.Len(size)
	if n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, element(d))
		if d.err != nil {
			return nil
		}
	}
	return list
}

// StringMap reads a map; an empty one is nil.
func (d *Decoder) StringMap() map[string]string {
	n := d.Len(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	last := ""
	for i := range n {
		k, v := d.String(), d.String()
		if i > 0 && k <= last {
			d.Fail("key %q is out of order", k)
		}
		if d.err != nil {
			return nil
		}
		m[k], last = v, k
	}
	return m
}

// Broker reads a broker.
func (d *Decoder) Broker() Broker {
	return Broker{
		ID: d.Int32(), Epoch: d.Int(), UnfencedEpoch: d.Int(), Incarnation: d.UUID(), Rack: d.String(),
		Endpoints: List(d, 3, func(d *Decoder) Endpoint {
			return Endpoint{Name: d.String(), Host: d.String(), Port: d.Int32()}
		}),
		Fenced: d.Bool(), ShuttingDown: d.Bool(),
	}
}

// Partition reads a partition's state.
func (d *Decoder) Partition() Partition {
	return Partition{
		Replicas: d.Int32s(), ISR: d.Int32s(), ELR: d.Int32s(),
		LastKnownLeader: d.Int32(), Leader: d.Int32(), LeaderEpoch: d.Int32(), PartitionEpoch: d.Int32(),
		Recovering: d.Bool(),
	}
}

// Topic reads a topic with its partitions.
func (d *Decoder) Topic() Topic {
	return Topic{ID: d.UUID(), Name: d.String(), Configs: d.StringMap(), Partitions: List(d, 8, (*Decoder).Partition)}
}
