package partition

import (
	"sync"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/slab"
)

// A block is a stretch of a tail: whole batches, in one piece.
type block struct {
	of    *Tails
	class int        // of blockSizes; len(blockSizes) if it is larger than all
	buf   []byte     // what is in it
	kept  *slab.Slab // holds buf, which is the disk's, too; nil: buf is a pool's
	ends  []end      // of its batches
	base  int64      // offset of the first
	last  written    // the end of what is in it; under tip.mu
	pins  int        // who reads; under tail.mu
	gone  bool       // not in the tail any more: the last reader gives it back
}

// An end is where a batch of a block ends.
type end struct {
	next int64 // the offset behind it
	at   int   // the place in the block behind it
}

// blockSizes are those of pooled blocks. A tail begins with the smallest that will
// do and goes on with larger ones: of ten thousand partitions most are quiet.
var blockSizes = [...]int{4 << 10, 32 << 10, 256 << 10, 1 << 20}

// usualBlock is the class that a busy tail grows to, unless its batches are larger.
const usualBlock = 2

var blockPools [len(blockSizes)]sync.Pool

func takeBlock(of *Tails, class, size int) *block {
	var b *block
	if class < len(blockSizes) {
		size = blockSizes[class]
		b, _ = blockPools[class].Get().(*block)
	}
	if b == nil {
		b = &block{class: class, buf: make([]byte, 0, size)}
	}
	b.of = of
	of.lend(cap(b.buf))
	return b
}

// give lends the block to the next one. Nobody reads it any more.
func (b *block) give() {
	if b.kept != nil {
		*b = block{ends: b.ends[:0]}
		keptBlocks.Put(b)
		return
	}
	b.of.lend(-cap(b.buf))
	if b.class == len(blockSizes) {
		return
	}
	b.buf, b.ends, b.gone, b.of = b.buf[:0], b.ends[:0], false, nil
	blockPools[b.class].Put(b)
}

// Tails is the memory that the tails of a broker's logs share. When it is used up
// each log goes on with the smallest block that will do.
type Tails struct {
	limit int64
	used  atomic.Int64
}

// NewTails returns room for tails of about limit bytes together.
func NewTails(limit int64) *Tails { return &Tails{limit: limit} }

// Used is how much of it is lent at the moment.
func (t *Tails) Used() int64 { return t.used.Load() }

func (t *Tails) full() bool { return t != nil && t.used.Load() >= t.limit }

func (t *Tails) lend(n int) {
	if t != nil {
		t.used.Add(int64(n))
	}
}
