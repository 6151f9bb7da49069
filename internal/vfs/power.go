package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// PowerLoss takes away what was not synced, but for what the seed lets survive.
// Every open file is dead afterwards.
func (m *Mem) PowerLoss() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session.Add(1) // from here on, no open file changes anything
	old := m.root
	a := aftermath{m, map[*inode]*inode{}}
	m.root = a.dir(old)
	a.discard(old)
}

// Wipe takes everything away, like a new disk.
func (m *Mem) Wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session.Add(1)
	aftermath{mem: m}.discard(m.root)
	m.root = newDir()
}

// An aftermath is the tree that a power loss leaves, in the making. It gives each
// file that survives a new inode, so that open files lead nowhere.
type aftermath struct {
	mem   *Mem
	files map[*inode]*inode
}

func (a aftermath) dir(old *dir) *dir {
	survive := 0
	if a.mem.rng != nil {
		survive = a.mem.rng.IntN(len(old.pending) + 1)
	}
	for _, c := range old.pending[:survive] {
		a.mem.apply(old.synced, c)
	}
	d := newDir()
	for _, name := range slices.Sorted(maps.Keys(old.synced)) { // an order, for the seed's sake
		var e entry
		switch was := old.synced[name].(type) {
		case *dir:
			e = a.dir(was)
		case *inode:
			e = a.file(was)
		}
		a.mem.apply(d.now, change{name: name, entry: e})
		a.mem.apply(d.synced, change{name: name, entry: e})
	}
	return d
}

func (a aftermath) file(old *inode) *inode {
	if n, ok := a.files[old]; ok {
		return n // it had two names
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	n := &inode{content: old.content, synced: old.synced, older: old.older}
	old.content, old.synced, old.older = content{}, 0, nil
	n.losePower(&a.mem.chunks, a.mem.rng)
	a.files[old] = n
	return n
}

// discard gives back the memory of whatever did not survive.
func (a aftermath) discard(d *dir) {
	drop := func(e entry) {
		switch e := e.(type) {
		case *dir:
			a.discard(e)
		case *inode:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.free(&a.mem.chunks)
		}
	}
	for _, e := range d.now {
		drop(e)
	}
	for _, e := range d.synced {
		drop(e)
	}
	for _, c := range d.pending {
		drop(c.entry)
	}
}

// losePower gives the file the content that a power loss leaves of it. With rng,
// some of what was not synced may have reached the disk; without, none has.
func (n *inode) losePower(pool *chunkPool, rng *rand.Rand) {
	changed := n.content.size // nothing behind it was written since the last sync
	if n.content.size < n.synced {
		if rng != nil && rng.IntN(2) == 0 {
			n.synced = n.content.size // the shortening had reached the disk
		}
		n.content.grow(pool, n.synced)
	}
	for i := range (n.synced + chunkSize - 1) / chunkSize {
		if c, ok := n.older[i]; ok {
			n.restore(pool, c, i, changed, rng)
		}
	}
	if n.content.size > n.synced {
		n.tear(pool, rng)
	}
	n.sync(pool)
}

// sector is what a disk writes whole or not at all.
const sector = 512

// restore puts the synced bytes of a chunk back, but for the sectors whose new
// content had reached the disk.
func (n *inode) restore(pool *chunkPool, c []byte, i, changed int64, rng *rand.Rand) {
	start := i * chunkSize
	c = c[:min(chunkSize, n.synced-start)]
	for at := 0; at < len(c); at += sector {
		if rng == nil || start+int64(at) >= changed || rng.IntN(2) == 0 {
			n.content.overwrite(pool, c[at:min(at+sector, len(c))], start+int64(at))
		}
	}
}

// tear decides what becomes of the bytes behind the synced length.
func (n *inode) tear(pool *chunkPool, rng *rand.Rand) {
	tail := n.content.size - n.synced
	fate := 0
	if rng != nil {
		fate = rng.IntN(4)
	}
	switch fate {
	case 0, 1: // gone
		n.content.truncate(pool, n.synced)
	case 2: // cut anywhere, and often the length had reached the disk without the rest
		cut := n.synced + rng.Int64N(tail+1)
		n.content.zero(pool, cut, n.content.size)
		if rng.IntN(2) == 0 {
			n.content.truncate(pool, cut)
		}
	case 3: // the length is there, and some sectors are
		n.content.own(pool, n.synced, n.content.size) // at once, for some of each piece is zeroed
		for at := n.synced; at < n.content.size; at = (at/sector + 1) * sector {
			if rng.IntN(2) == 0 {
				n.content.zero(pool, at, min((at/sector+1)*sector, n.content.size))
			}
		}
	}
}
