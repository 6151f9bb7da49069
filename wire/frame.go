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
	length, err := readLength(r, limit, buf)
	if err != nil {
		return nil, err
	}
	return readBody(r, length, buf)
}

// readFrame is ReadFrame with a buffer of the pools.
func readFrame(r io.Reader, limit int, head *[4]byte) (*[]byte, error) {
	length, err := readLength(r, limit, head[:])
	if err != nil {
		return nil, err
	}
	buf := takeBuffer(length)
	frame, err := readBody(r, length, *buf)
	if err != nil {
		giveBuffer(buf)
		return nil, err
	}
	*buf = frame
	return buf, nil
}

func readLength(r io.Reader, limit int, head []byte) (int, error) {
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, err
	}
	length := int32(binary.BigEndian.Uint32(head))
	if length < 0 || int(length) > limit {
		return 0, &FrameError{Length: length, Limit: limit}
	}
	return int(length), nil
}

func readBody(r io.Reader, length int, buf []byte) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < length {
		have := len(buf)
		step := min(length-have, max(cap(buf)-have, have, frameStep))
		if have+step > cap(buf) {
			buf = append(make([]byte, 0, roomFor(have+step)), buf...)
		}
		buf = buf[:have+step]
		if _, err := io.ReadFull(r, buf[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

// buffers are the frames and responses that nobody uses at the moment, each in the
// pool of the largest size that it has room for: one for a long frame must not be
// spent on a short one, and the next long one grow out of a short buffer.
var buffers [len(bufferSizes)]sync.Pool

var bufferSizes = [...]int{1 << 10, 4 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, keptBuffer}

// roomFor rounds a size up to that of a pool.
func roomFor(size int) int {
	for _, room := range bufferSizes {
		if size <= room {
			return room
		}
	}
	return size
}

// takeBuffer returns an empty buffer, if there is one with room for so many bytes
// with that room.
func takeBuffer(size int) *[]byte {
	for i, room := range bufferSizes {
		if size > room && i+1 < len(bufferSizes) {
			continue
		}
		if b, ok := buffers[i].Get().(*[]byte); ok {
			return b
		}
		break
	}
	return new([]byte)
}

func giveBuffer(b *[]byte) {
	if b == nil || cap(*b) > keptBuffer {
		return
	}
	*b = (*b)[:0]
	for i, room := range slices.Backward(bufferSizes[:]) {
		if cap(*b) >= room {
			buffers[i].Put(b)
			return
		}
	}
}
