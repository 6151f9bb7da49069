package vfs

import (
	"bytes"
	"sync"
)

// chunkSize is the unit of a memory file's own memory, but for pieces that are smaller.
const chunkSize = 64 << 10

// smallSizes are the capacities that an own piece grows through if no chunk lies before
// it, so that a checkpoint of a few bytes does not cost a whole chunk.
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

// zeros is what new chunks end with, and what files are filled up with.
var zeros [chunkSize]byte

// withRoom returns a copy of b, which is no longer than a chunk, with the smallest
// capacity that has room for so many bytes, or else a chunk's.
func (p *chunkPool) withRoom(b []byte, room int) []byte {
	for _, s := range smallSizes {
		if room <= s {
			c := make([]byte, len(b), s)
			copy(c, b)
			return c
		}
	}
	return p.filled(b)[:len(b)]
}

// copied returns a copy of b, which is no longer than a chunk, with hardly any room.
func (p *chunkPool) copied(b []byte) []byte {
	if len(b) == chunkSize {
		return p.filled(b)
	}
	return bytes.Clone(b)
}

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

// put takes memory that nobody uses any more; what is no chunk is left to the
// garbage collector.
func (p *chunkPool) put(c []byte) {
	if cap(c) != chunkSize {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, c[:chunkSize])
}
