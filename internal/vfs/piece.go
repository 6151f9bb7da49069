package vfs

import "github.com/brokersim/brokersim/internal/slab"

// A piece is a stretch of a file's bytes. They are the file's own, or they are kept:
// then others have them too, and nobody may write to them.
type piece struct {
	at   int64     // where it begins in the file
	mem  []byte    // own bytes; what lies between its length and its capacity is undefined
	kept slab.Span // shared if the piece is kept
}

func (p *piece) isKept() bool { return p.kept.Shared() }

// bytes may be written to if the piece is not kept.
func (p *piece) bytes() []byte {
	if p.isKept() {
		return p.kept.Bytes()
	}
	return p.mem
}

// cut returns the bytes [from, to) of a piece as one.
func (p *piece) cut(from, to int) piece {
	if p.isKept() {
		return piece{at: p.at + int64(from), kept: p.kept.Cut(from, to)}
	}
	return piece{at: p.at + int64(from), mem: p.mem[from:to]}
}

// extend appends what it has room for of b to an own piece, and returns how much that
// is. A piece that is no whole chunk gets more memory for it.
func (p *piece) extend(pool *chunkPool, b []byte) int {
	used := len(p.mem)
	if room := used + len(b); room > cap(p.mem) && cap(p.mem) < chunkSize {
		p.mem = pool.withRoom(p.mem, room)
	}
	n := min(len(b), cap(p.mem)-used)
	p.mem = append(p.mem, b[:n]...)
	return n
}

// appendOwned appends to pieces what becomes of p when [from, to) of the file is about
// to be written to. Of a kept piece, the chunks of it that [from, to) touches, counted
// from its beginning, are copied; what is left on both sides stays kept.
func (p *piece) appendOwned(pieces []piece, pool *chunkPool, from, to int64) []piece {
	if !p.isKept() {
		return append(pieces, *p)
	}
	length := int64(p.kept.Len())
	first := max(0, from-p.at) / chunkSize * chunkSize
	end := min(length, (to-p.at+chunkSize-1)/chunkSize*chunkSize)
	if first > 0 {
		pieces = append(pieces, p.cut(0, int(first)))
	}
	for at := first; at < end; at += chunkSize {
		part := p.kept.Cut(int(at), int(min(at+chunkSize, end)))
		pieces = append(pieces, piece{at: p.at + at, mem: pool.copied(part.Bytes())})
	}
	if end < length {
		pieces = append(pieces, p.cut(int(end), int(length)))
	}
	return pieces
}
