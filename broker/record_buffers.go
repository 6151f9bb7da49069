package broker

import (
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/replication"
)

// recordBuffers lends the memory that fetched records are copied into, where they must
// be: touching fresh memory costs more than the copy.
type recordBuffers struct{ pool sync.Pool }

// A recordBuffer is lent to one request.
type recordBuffer struct {
	bytes   []byte        // of records that were copied
	spans   []slab.Span   // of all that were read: of bytes, or shared
	records [][]slab.Span // of each partition of the answer
}

// keepBuffer is the size above which a buffer is left to the garbage collector.
const keepBuffer = 8 << 20

func (p *recordBuffers) get() *recordBuffer {
	if b, ok := p.pool.Get().(*recordBuffer); ok {
		return b
	}
	return &recordBuffer{spans: []slab.Span{}}
}

func (p *recordBuffers) put(b *recordBuffer) {
	if b != nil && cap(b.bytes) <= keepBuffer {
		clear(b.spans[:cap(b.spans)]) // what is lent must not live on here
		clear(b.records[:cap(b.records)])
		b.empty()
		p.pool.Put(b)
	}
}

// empty forgets what was read.
func (b *recordBuffer) empty() { b.bytes, b.spans, b.records = b.bytes[:0], b.spans[:0], b.records[:0] }

// add takes what was read, for which there was room behind bytes and spans, and returns it.
func (b *recordBuffer) add(res replication.ReadResult) []slab.Span {
	before, copied := len(b.spans), len(b.bytes)
	switch {
	case res.Lent != nil:
		b.spans = res.Lent
	case len(res.Records) > copied:
		b.spans = append(b.spans, slab.Borrow(res.Records[copied:]))
		b.bytes = res.Records
	}
	return b.spans[before:len(b.spans):len(b.spans)]
}
