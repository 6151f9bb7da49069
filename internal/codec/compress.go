package codec

import (
	"bytes"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Compress returns src compressed, in fresh memory.
func Compress(t Type, src []byte) ([]byte, error) {
	if t == None {
		return bytes.Clone(src), nil
	}
	c, err := kgo.DefaultCompressor(kgoCodec(t))
	if err != nil {
		return nil, err
	}
	out, used := c.Compress(new(bytes.Buffer), src)
	if used == kgo.CodecError {
		return nil, errors.New("cannot compress with " + t.String())
	}
	return out, nil
}

func kgoCodec(t Type) kgo.CompressionCodec {
	switch t {
	case Gzip:
		return kgo.GzipCompression()
	case Snappy:
		return kgo.SnappyCompression()
	case LZ4:
		return kgo.Lz4Compression()
	case ZSTD:
		return kgo.ZstdCompression()
	default:
		return kgo.NoCompression()
	}
}
