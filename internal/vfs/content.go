package vfs

import (
	"slices"
	"sort"

	"github.com/brokersim/brokersim/internal/slab"
)

// minKept is how many bytes a span must have to be kept as a piece of its own: one that
// is smaller costs less as a copy than as one more piece that holds on to a slab.
const minKept = 512

// content is the bytes of a file: pieces that follow each other without a gap, none of
// them empty.
//
//	├ own ┤├──── kept ────┤├──────── kept ────────┤├ own, with room ┄┄┤
//	0                                                            size
//
// An own piece grows up to a chunk as long as it is the last one. The owner locks.
type content struct {
	pieces []piece
	size   int64
}

// find returns the index of the piece that has the byte at off, which is below size.
func (c *content) find(off int64) int {
	last := len(c.pieces) - 1
	if c.pieces[last].at <= off {
		return last
	}
	return sort.Search(last, func(i int) bool { return c.pieces[i].at > off }) - 1
}

func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	n := 0
	for i := c.find(off); n < len(p); i++ {
		piece := &c.pieces[i]
		n += copy(p[n:], piece.bytes()[off+int64(n)-piece.at:])
	}
	return n
}

// writeAt writes a copy of p at off, behind zeros if that is behind the end.
func (c *content) writeAt(pool *chunkPool, p []byte, off int64) {
	c.grow(pool, off)
	n := min(int64(len(p)), c.size-off)
	c.overwrite(pool, p[:n], off)
	c.append(pool, p[n:])
}

// keepAt is writeAt. It keeps s if it may, and if that is worth while: at the end.
func (c *content) keepAt(pool *chunkPool, s slab.Span, off int64) {
	c.grow(pool, off)
	if !s.Shared() || off < c.size || !c.keep(s) {
		c.writeAt(pool, s.Bytes(), off)
	}
}

// keep appends s without a copy. It reports false, and does nothing, if s is too small.
func (c *content) keep(s slab.Span) bool {
	if last := c.last(); last != nil {
		if joined, ok := last.kept.Join(s); ok {
			last.kept = joined
			c.size += int64(s.Len())
			return true
		}
	}
	if s.Len() < minKept {
		return false
	}
	c.pieces = append(c.pieces, piece{at: c.size, kept: s})
	c.size += int64(s.Len())
	return true
}

// overwrite writes p over bytes that are there.
func (c *content) overwrite(pool *chunkPool, p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	c.own(pool, off, off+int64(len(p)))
	n := 0
	for i := c.find(off); n < len(p); i++ {
		piece := &c.pieces[i]
		n += copy(piece.bytes()[off+int64(n)-piece.at:], p[n:])
	}
}

// own makes [from, to), which is not empty and there, the file's own bytes, so that they
// may be written to: it copies what is kept of it.
func (c *content) own(pool *chunkPool, from, to int64) {
	i, end := c.find(from), c.find(to-1)+1
	if !slices.ContainsFunc(c.pieces[i:end], func(p piece) bool { return p.isKept() }) {
		return
	}
	var owned []piece
	for at := i; at < end; at++ {
		owned = c.pieces[at].appendOwned(owned, pool, from, to)
	}
	c.pieces = slices.Replace(c.pieces, i, end, owned...)
}

// append writes a copy of p at the end: into the room that is there, then into chunks.
func (c *content) append(pool *chunkPool, p []byte) {
	if last := c.last(); last != nil && !last.isKept() {
		n := last.extend(pool, p)
		c.size += int64(n)
		p = p[n:]
	}
	for len(p) > 0 {
		b := p[:min(len(p), chunkSize)]
		next := piece{at: c.size}
		if last := c.last(); last == nil || last.isKept() {
			next.mem = pool.withRoom(b, len(b))
		} else {
			next.mem = pool.filled(b)[:len(b)]
		}
		c.pieces = append(c.pieces, next)
		c.size += int64(len(b))
		p = p[len(b):]
	}
}

// last is the last piece; nil if there is none.
func (c *content) last() *piece {
	if len(c.pieces) == 0 {
		return nil
	}
	return &c.pieces[len(c.pieces)-1]
}

// grow makes the file at least size long, by zeros.
func (c *content) grow(pool *chunkPool, size int64) {
	for c.size < size {
		c.append(pool, zeros[:min(chunkSize, size-c.size)])
	}
}

// zero writes zeros over [from, to), which is there.
func (c *content) zero(pool *chunkPool, from, to int64) {
	for ; from < to; from += chunkSize {
		c.overwrite(pool, zeros[:min(chunkSize, to-from)], from)
	}
}

// truncate makes the file size long: shorter, or longer by zeros.
func (c *content) truncate(pool *chunkPool, size int64) {
	if size >= c.size {
		c.grow(pool, size)
		return
	}
	keep := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].at >= size })
	for _, p := range c.pieces[keep:] {
		pool.put(p.mem)
	}
	clear(c.pieces[keep:])
	c.pieces, c.size = c.pieces[:keep], size
	if last := c.last(); last != nil {
		*last = last.cut(0, int(size-last.at))
	}
}
