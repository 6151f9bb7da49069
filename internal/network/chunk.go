package network

import (
	"sync"
	"time"

	"github.com/brokersim/brokersim/internal/slab"
)

// Bytes under way lie in chunks of two sizes, which are used again: the first
// touch of fresh memory costs more than everything else a connection does.
const (
	smallChunk = 2 << 10
	largeChunk = 64 << 10
)

var (
	smallChunks = sync.Pool{New: func() any { return new([smallChunk]byte) }}
	largeChunks = sync.Pool{New: func() any { return new([largeChunk]byte) }}
)

// A chunk is a stretch of bytes on its way, or the end of the stream. What has
// the same conditions of arrival as its predecessor shares its chunk; what was
// lent has one of its own.
type chunk struct {
	buf  []byte    // full length of its class, or what was lent; nil for the end of the stream
	lent slab.Span // what buf is of, if it is not of a pool: nobody may change it
	r, w int       // bytes [r, w) are still to be read
	end  error     // io.EOF or ECONNRESET: nothing follows

	hold
	linked time.Time // what the link's latency and bandwidth say; zero: at once
}

// A hold is what an interceptor imposes on one message.
type hold struct {
	notBefore time.Time
	until     <-chan struct{} // nil: no condition
}

func (h hold) free() bool { return h.until == nil && h.notBefore.IsZero() }

func newChunk(want int) chunk {
	if want <= smallChunk {
		return chunk{buf: smallChunks.Get().(*[smallChunk]byte)[:]}
	}
	return chunk{buf: largeChunks.Get().(*[largeChunk]byte)[:]}
}

// untouched reports whether the chunk was lent and nothing of it has been read.
func (c *chunk) untouched() bool { return c.lent.Shared() && c.r == 0 }

// recycle gives the memory back, unless it was lent; the chunk may not be used afterwards.
func (c *chunk) recycle() {
	switch {
	case c.lent.Shared():
		c.lent = slab.Span{}
	case len(c.buf) == smallChunk:
		smallChunks.Put((*[smallChunk]byte)(c.buf))
	case len(c.buf) == largeChunk:
		largeChunks.Put((*[largeChunk]byte)(c.buf))
	}
	c.buf = nil
}

// arrives returns when the chunk may be read as far as time decides.
func (c *chunk) arrives() time.Time {
	if c.notBefore.After(c.linked) {
		return c.notBefore
	}
	return c.linked
}

// released reports whether no interceptor holds the chunk back.
func (c *chunk) released() bool {
	if c.until == nil {
		return true
	}
	select {
	case <-c.until:
		c.until = nil
		return true
	default:
		return false
	}
}

// arrived reports whether the chunk has reached its reader's side.
func (c *chunk) arrived() bool {
	at := c.arrives()
	return c.released() && (at.IsZero() || !time.Now().Before(at))
}
