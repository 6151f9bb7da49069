package codec

import "fmt"

// A Type is a way of compression, by its number in a batch's attributes.
type Type int8

// Kafka's codecs.
const (
	None Type = iota
	Gzip
	Snappy
	LZ4
	ZSTD
)

var names = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Known reports whether Kafka has such a codec.
func (t Type) Known() bool { return t >= None && int(t) < len(names) }

func (t Type) String() string {
	if t.Known() {
		return names[t]
	}
	return fmt.Sprintf("codec %d", int8(t))
}

// Named returns the codec that a topic's compression.type asks for. ok is false
// for "producer", which asks for none in particular.
func Named(compressionType string) (t Type, ok bool) {
	if compressionType == "uncompressed" {
		return None, true
	}
	for i, name := range names[1:] {
		if name == compressionType {
			return Type(i + 1), true
		}
	}
	return None, false
}
