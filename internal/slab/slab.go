// Package slab is memory that is filled once and shared from then on.
//
// What a leader keeps of a batch in memory is what a memory connection carries to its
// followers and what all of their memory disks keep: one copy, whoever has it, since
// nobody changes it. Whoever wants to (a disk that rots, a file that is written over)
// makes a copy first. There is no count of owners: the garbage collector has it.
//
//	Slab  ├────────────── filled ──────────────┼──── not yet ────┤
//	Spans ├── a batch ──┼──── two batches ─────┤
//
// The arrows: partition, internal/vfs, internal/network, wire and what is above them
// hand spans around; none of them knows who else has one.
package slab

import "bytes"

// A Slab is a stretch of memory that its maker fills from the front. Spans of what is
// filled may be read by anybody, at the same time, for as long as they like.
type Slab struct{ mem []byte }

// New returns a slab with room for so many bytes.
func New(room int) *Slab { return &Slab{make([]byte, room)} }

// Of returns a slab that is full with a copy of b. It is touched once: what b fills is
// not cleared before.
func Of(b []byte) *Slab { return &Slab{bytes.Clone(b)[:len(b):len(b)]} }

// Memory is all of it, for the maker to fill. What a Span was made of may not be
// changed any more.
func (s *Slab) Memory() []byte { return s.mem }

// Span returns the bytes [from, to), which are filled.
func (s *Slab) Span(from, to int) Span { return Span{s.mem[from:to:to], s, from} }

// A Span is some bytes that may not be changed. Those of a slab are shared: they stay
// what they are. Those that are borrowed are only valid for as long as their owner says.
// The zero Span is empty.
type Span struct {
	bytes []byte
	slab  *Slab // nil: borrowed
	from  int
}

// Borrow returns b as a Span that is not shared.
func Borrow(b []byte) Span { return Span{bytes: b[:len(b):len(b)]} }

// Bytes are for reading only.
func (s Span) Bytes() []byte { return s.bytes }

// Len is how many bytes there are.
func (s Span) Len() int { return len(s.bytes) }

// Shared reports whether the bytes may be kept without a copy.
func (s Span) Shared() bool { return s.slab != nil }

// Cut returns the bytes [from, to) of s.
func (s Span) Cut(from, to int) Span { return Span{s.bytes[from:to:to], s.slab, s.from + from} }

// Join returns s and next as one, if next lies right behind s in the same slab.
func (s Span) Join(next Span) (joined Span, ok bool) {
	if s.slab == nil || s.slab != next.slab || s.from+s.Len() != next.from {
		return s, false
	}
	return s.slab.Span(s.from, next.from+next.Len()), true
}

// Size is how many bytes there are in spans.
func Size(spans []Span) (n int) {
	for _, s := range spans {
		n += s.Len()
	}
	return n
}

// AppendTo appends a copy of what is in spans to b.
func AppendTo(b []byte, spans []Span) []byte {
	for _, s := range spans {
		b = append(b, s.Bytes()...)
	}
	return b
}
