package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// MaxUnpacked is how many bytes one batch may unpack to. Kafka knows no such
// limit; the largest batch of its clients stays far below.
const MaxUnpacked = 128 << 20

// ErrTooLarge is returned for what would unpack to more than MaxUnpacked bytes.
var ErrTooLarge = fmt.Errorf("unpacks to more than %d bytes", MaxUnpacked)

// keep is the largest buffer that a Decoder holds on to.
const keep = 4 << 20

// A Decoder unpacks. The zero value is ready; it is for one goroutine at a time.
type Decoder struct {
	src  bytes.Reader
	out  []byte
	gzip *gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder
}

// Decompress returns the content of src, which stays valid until the next call.
// None returns src itself.
func (d *Decoder) Decompress(t Type, src []byte) ([]byte, error) {
	out, err := d.decompress(t, src)
	if err != nil {
		return nil, err
	}
	if t != None && cap(out) <= keep {
		d.out = out
	}
	return out, nil
}

func (d *Decoder) decompress(t Type, src []byte) ([]byte, error) {
	d.src.Reset(src)
	switch t {
	case None:
		return src, nil
	case Gzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		if err := d.gzip.Reset(&d.src); err != nil {
			return nil, err
		}
		return readAll(d.out, d.gzip)
	case LZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(nil)
		}
		d.lz4.Reset(&d.src)
		return readAll(d.out, d.lz4)
	case Snappy:
		if isFramed(src) {
			return unframe(d.out, src[frameHeader:])
		}
		return unsnap(d.out[:0], src)
	case ZSTD:
		return d.unzstd(src)
	}
	return nil, errors.New("no such codec")
}

// readAll reads r to its end into the capacity of buf, or more.
func readAll(buf []byte, r io.Reader) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, max(64<<10, len(buf)))
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > MaxUnpacked:
			return nil, ErrTooLarge
		case errors.Is(err, io.EOF):
			return buf, nil
		case err != nil:
			return nil, err
		}
	}
}

func (d *Decoder) unzstd(src []byte) ([]byte, error) {
	if d.zstd == nil {
		var err error
		d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), // no goroutines
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxUnpacked))
		if err != nil {
			return nil, err
		}
	}
	out, err := d.zstd.DecodeAll(src, d.out[:0])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil, ErrTooLarge
	}
	return out, err
}

// The Java client's snappy: a header of 16 bytes, then blocks, each behind its
// length.
const frameHeader = 16

var frameMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func isFramed(src []byte) bool { return len(src) >= frameHeader && bytes.HasPrefix(src, frameMagic) }

func unframe(buf, src []byte) ([]byte, error) {
	buf = buf[:0]
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if n > int64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		var err error
		if buf, err = unsnap(buf, src[:n]); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return buf, nil
}

// unsnap appends the content of one snappy block to buf.
func unsnap(buf, src []byte) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	at := len(buf)
	if at+n > MaxUnpacked {
		return nil, ErrTooLarge
	}
	if cap(buf)-at < n {
		buf = append(buf, make([]byte, n)...)
	}
	buf = buf[:at+n]
	_, err = s2.Decode(buf[at:at+n:at+n], src)
	return buf, err
}
