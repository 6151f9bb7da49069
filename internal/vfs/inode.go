package vfs

import (
	"sync"

	"github.com/brokersim/brokersim/internal/slab"
)

// An inode is one file of a Mem, whatever its names are. Beside its bytes it
// knows which of them were synced, and keeps the synced ones that have been
// overwritten or cut off since.
type inode struct {
	mu      sync.RWMutex
	content content
	synced  int64            // the file's length when it was last synced
	older   map[int64][]byte // synced bytes that were changed since, as they were, by chunks of the file; made when first needed

	refs int // names, now and synced, and open files; guarded by the Mem
}

// write writes s at off. What is shared of it may be kept.
func (n *inode) write(pool *chunkPool, s slab.Span, off int64) {
	n.keepSynced(pool, off, off+int64(s.Len()))
	n.content.keepAt(pool, s, off)
}

func (n *inode) truncate(pool *chunkPool, size int64) {
	n.keepSynced(pool, size, n.content.size)
	n.content.truncate(pool, size)
}

func (n *inode) sync(pool *chunkPool) {
	for _, c := range n.older {
		pool.put(c)
	}
	clear(n.older)
	n.synced = n.content.size
}

// keepSynced copies the synced bytes of the chunks that [from, to) touches, the
// first time that they are changed.
func (n *inode) keepSynced(pool *chunkPool, from, to int64) {
	to = min(to, n.synced, n.content.size)
	for i := from / chunkSize; i*chunkSize < to && from < to; i++ {
		if _, ok := n.older[i]; ok {
			continue
		}
		if n.older == nil {
			n.older = map[int64][]byte{}
		}
		c := pool.get()
		n.content.readAt(c, i*chunkSize)
		n.older[i] = c
	}
}

// free gives the memory back.
func (n *inode) free(pool *chunkPool) {
	n.sync(pool)
	n.synced = 0
	n.content.truncate(pool, 0)
}
