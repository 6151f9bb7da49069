package vfs

import (
	"bytes"
	"sync"
)

// chunkSize is the unit of a memory file, but for files that are smaller.
const chunkSize = 64 << 10

// smallSizes are the capacities that the first chunk of a file grows through, so
// that a checkpoint of a few bytes does not cost a whole chunk.
var smallSizes = [...]int{256, 4 << 10, 16 << 10}

// A chunkPool keeps the chunks of removed files for the next ones: touching
// memory for the first time costs several times what writing to it does.
type chunkPool struct {
	mu   sync.Mutex
	free [][]byte
}

// get returns a chunk whose content is undefined.
func (p *chunkPool) get() []byte {
	if c := p.take(); c != nil {
		return c
	}
	return make([]byte, chunkSize)
}

// filled returns a chunk that begins with b; the rest is undefined. A new one is
// touched once: what b fills is not cleared before.
func (p *chunkPool) filled(b []byte) []byte {
	c := p.take()
	switch {
	case c != nil:
		copy(c, b)
	case len(b) == chunkSize:
		c = bytes.Clone(b)
	default:
		c = bytes.Join([][]byte{b, zeros[len(b):]}, nil)
	}
	return c[:chunkSize:chunkSize]
}

// zeros is what new chunks end with.
var zeros [chunkSize]byte

// take returns a chunk of a removed file; nil if there is none.
func (p *chunkPool) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return nil
	}
	c := p.free[n-1]
	p.free[n-1] = nil
	p.free = p.free[:n-1]
	return c
}

func (p *chunkPool) put(chunks ...[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range chunks {
		if len(c) == chunkSize {
			p.free = append(p.free, c)
		}
	}
}

// content is the bytes of a file, in chunks. Every chunk but a lone first one has
// chunkSize bytes; what lies behind size is undefined. The owner locks.
type content struct {
	chunks [][]byte
	size   int64
}

func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	n := 0
	for n < len(p) {
		at := off + int64(n)
		n += copy(p[n:], c.chunks[at/chunkSize][at%chunkSize:])
	}
	return n
}

func (c *content) writeAt(pool *chunkPool, p []byte, off int64) {
	end := off + int64(len(p))
	c.grow(pool, off)
	c.reserve(pool, min(end, chunkSize))
	for n := 0; n < len(p); {
		at := off + int64(n)
		if i := at / chunkSize; i < int64(len(c.chunks)) {
			n += copy(c.chunks[i][at%chunkSize:], p[n:])
			continue
		}
		fill := p[n:min(len(p), n+chunkSize)]
		c.chunks = append(c.chunks, pool.filled(fill))
		n += len(fill)
	}
	c.size = max(c.size, end)
}

// grow makes the file at least size long, by zeros.
func (c *content) grow(pool *chunkPool, size int64) {
	if size <= c.size {
		return
	}
	c.reserve(pool, size)
	for at := c.size; at < size; {
		chunk := c.chunks[at/chunkSize][at%chunkSize:]
		chunk = chunk[:min(int64(len(chunk)), size-at)]
		clear(chunk)
		at += int64(len(chunk))
	}
	c.size = size
}

func (c *content) reserve(pool *chunkPool, size int64) {
	if len(c.chunks) <= 1 {
		var first []byte
		if len(c.chunks) == 1 {
			first = c.chunks[0]
		}
		if int64(len(first)) < min(size, chunkSize) {
			bigger := c.firstChunk(pool, size)
			copy(bigger, first)
			c.chunks = append(c.chunks[:0], bigger)
		}
	}
	for int64(len(c.chunks))*chunkSize < size && size > int64(len(c.chunks[0])) {
		c.chunks = append(c.chunks, pool.get())
	}
}

func (c *content) firstChunk(pool *chunkPool, size int64) []byte {
	for _, s := range smallSizes {
		if size <= int64(s) {
			return make([]byte, s)
		}
	}
	return pool.get()
}

// truncate makes the file size long: shorter, or longer by zeros.
func (c *content) truncate(pool *chunkPool, size int64) {
	if size >= c.size {
		c.grow(pool, size)
		return
	}
	keep := int((size + chunkSize - 1) / chunkSize)
	pool.put(c.chunks[keep:]...)
	clear(c.chunks[keep:])
	c.chunks, c.size = c.chunks[:keep], size
}
