package coordinator

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Kinds of operation in a journal batch.
const (
	opEntry byte = iota // an entry; replaces nothing
	opCut               // entries from an index on are gone
	opDrop              // entries below an index are gone
	opKeep              // a value of the stable store
)

func appendEntry(dst []byte, l *raft.Log) []byte {
	dst = append(dst, opEntry, byte(l.Type))
	dst = binary.AppendUvarint(dst, l.Index)
	dst = binary.AppendUvarint(dst, l.Term)
	dst = binary.AppendVarint(dst, unixNano(l.AppendedAt))
	dst = appendBytes(dst, l.Data)
	return appendBytes(dst, l.Extensions)
}

func appendCut(dst []byte, from uint64) []byte {
	return binary.AppendUvarint(append(dst, opCut), from)
}

func appendDrop(dst []byte, below uint64) []byte {
	return binary.AppendUvarint(append(dst, opDrop), below)
}

func appendKeep(dst []byte, key string, val []byte) []byte {
	return appendBytes(appendBytes(append(dst, opKeep), []byte(key)), val)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// An opReader takes operations apart; the first error stays.
type opReader struct {
	b   []byte
	err error
}

func (r *opReader) byte() byte {
	if len(r.b) == 0 {
		r.err = io.ErrUnexpectedEOF
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *opReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err, n = io.ErrUnexpectedEOF, 0
	}
	r.b = r.b[n:]
	return v
}

func (r *opReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.err, n = io.ErrUnexpectedEOF, 0
	}
	r.b = r.b[n:]
	return v
}

func (r *opReader) bytes() []byte {
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = io.ErrUnexpectedEOF
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	if n == 0 {
		return nil
	}
	return b
}

// entry appends one entry to the log of s.
func (r *opReader) entry(s *store) {
	var l raft.Log
	l.Type = raft.LogType(r.byte())
	l.Index, l.Term = r.uvarint(), r.uvarint()
	l.AppendedAt = fromUnixNano(r.varint())
	l.Data, l.Extensions = slices.Clone(r.bytes()), slices.Clone(r.bytes())
	switch {
	case r.err != nil:
	case len(s.log) == 0:
		s.first, s.log = l.Index, append(s.log, l)
	case l.Index != s.first+uint64(len(s.log)):
		r.err = fmt.Errorf("entry %d does not follow %d", l.Index, s.first+uint64(len(s.log))-1)
	default:
		s.log = append(s.log, l)
	}
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromUnixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
