package broker

import "sync"

// recordBuffers lends the memory that fetched records are copied into: touching
// fresh memory costs more than the copy.
type recordBuffers struct{ pool sync.Pool }

// A recordBuffer is lent to one request.
type recordBuffer struct{ bytes []byte }

// keepBuffer is the size above which a buffer is left to the garbage collector.
const keepBuffer = 8 << 20

func (p *recordBuffers) get() *recordBuffer {
	if b, ok := p.pool.Get().(*recordBuffer); ok {
		return b
	}
	return &recordBuffer{}
}

func (p *recordBuffers) put(b *recordBuffer) {
	if b != nil && cap(b.bytes) <= keepBuffer {
		b.bytes = b.bytes[:0]
		p.pool.Put(b)
	}
}
