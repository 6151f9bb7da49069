package metadata

import (
	"encoding/binary"
	"maps"
	"slices"
)

// An Encoder appends values to Buf in the encoding that deltas, images and the
// coordinator's commands share:
//
//	number   varint; unsigned, or zigzag where it may be negative
//	bool     one byte, 0 or 1
//	string   its length, then its bytes; bytes likewise
//	UUID     16 bytes
//	list     its length, then the elements
//	map      a list of key and value, by key
//
// Equal values have equal bytes.
type Encoder struct{ Buf []byte }

// Byte appends one byte: a version or a tag.
func (e *Encoder) Byte(b byte) { e.Buf = append(e.Buf, b) }

// Bool appends a bool.
func (e *Encoder) Bool(b bool) {
	if b {
		e.Byte(1)
	} else {
		e.Byte(0)
	}
}

// Uint appends an unsigned number.
func (e *Encoder) Uint(v uint64) { e.Buf = binary.AppendUvarint(e.Buf, v) }

// Int appends a number that may be negative.
func (e *Encoder) Int(v int64) { e.Buf = binary.AppendVarint(e.Buf, v) }

// Len appends the length of what follows.
func (e *Encoder) Len(n int) { e.Uint(uint64(n)) }

// String appends a string.
func (e *Encoder) String(s string) {
	e.Len(len(s))
	e.Buf = append(e.Buf, s...)
}

// Bytes appends bytes, like a string.
func (e *Encoder) Bytes(b []byte) {
	e.Len(len(b))
	e.Buf = append(e.Buf, b...)
}

// UUID appends a UUID.
func (e *Encoder) UUID(u UUID) { e.Buf = append(e.Buf, u[:]...) }

// Int32s appends a list of numbers.
func (e *Encoder) Int32s(list []int32) {
	e.Len(len(list))
	for _, v := range list {
		e.Int(int64(v))
	}
}

// StringMap appends a map.
func (e *Encoder) StringMap(m map[string]string) {
	e.Len(len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.String(k)
		e.String(m[k])
	}
}

// Broker appends a broker.
func (e *Encoder) Broker(b Broker) {
	e.Int(int64(b.ID))
	e.Int(b.Epoch)
	e.Int(b.UnfencedEpoch)
	e.UUID(b.Incarnation)
	e.String(b.Rack)
	e.Len(len(b.Endpoints))
	for _, p := range b.Endpoints {
		e.String(p.Name)
		e.String(p.Host)
		e.Int(int64(p.Port))
	}
	e.Bool(b.Fenced)
	e.Bool(b.ShuttingDown)
}

// Partition appends a partition's state.
func (e *Encoder) Partition(p Partition) {
	e.Int32s(p.Replicas)
	e.Int32s(p.ISR)
	e.Int32s(p.ELR)
	e.Int(int64(p.LastKnownLeader))
	e.Int(int64(p.Leader))
	e.Int(int64(p.LeaderEpoch))
	e.Int(int64(p.PartitionEpoch))
	e.Bool(p.Recovering)
}

// Topic appends a topic with its partitions.
func (e *Encoder) Topic(t Topic) {
	e.UUID(t.ID)
	e.String(t.Name)
	e.StringMap(t.Configs)
	e.Len(len(t.Partitions))
	for _, p := range t.Partitions {
		e.Partition(p)
	}
}
