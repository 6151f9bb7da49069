package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	// DefaultMaxRequestBytes is Kafka's socket.request.max.bytes.
	DefaultMaxRequestBytes = 100 << 20

	// frameStep is how much memory a frame gets ahead of its bytes. It then
	// grows with what has arrived, at most to twice as much.
	frameStep = 64 << 10

	// keptBuffer is the largest buffer that is kept for the next frame.
	keptBuffer = 4 << 20
)

// A FrameError is a frame whose length is not acceptable.
type FrameError struct {
	Length int32
	Limit  int
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("frame of %d bytes (limit %d)", e.Length, e.Limit)
}

// ReadFrame reads one frame, header and body, into buf's memory if it is
// large enough. The error is io.EOF only between two frames, and a
// [*FrameError] for a length that is negative or above limit.
func ReadFrame(r io.Reader, limit int, buf []byte) ([]byte, error) {
	buf = slices.Grow(buf[:0], 4)[:4]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	length := int32(binary.BigEndian.Uint32(buf))
	if length < 0 || int(length) > limit {
		return nil, &FrameError{Length: length, Limit: limit}
	}
	buf = buf[:0]
	for len(buf) < int(length) {
		have := len(buf)
		step := min(int(length)-have, max(cap(buf)-have, have, frameStep))
		buf = slices.Grow(buf, step)[:have+step]
		if _, err := io.ReadFull(r, buf[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

// buffers are the frames and responses that nobody uses at the moment.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func takeBuffer() *[]byte { return buffers.Get().(*[]byte) }

func giveBuffer(b *[]byte) {
	if b == nil || cap(*b) > keptBuffer {
		return
	}
	*b = (*b)[:0]
	buffers.Put(b)
}
