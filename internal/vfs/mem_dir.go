package vfs

// An entry of a directory is an *inode or a *dir.
type entry any

// A dir is a directory of a Mem: its names as they are now, as they were at the
// last SyncDir, and the changes between the two in their order.
type dir struct {
	now, synced map[string]entry
	pending     []change
}

// A change takes one name away, gives one, or both at once: a rename.
type change struct {
	gone  string
	name  string
	entry entry
}

func newDir() *dir { return &dir{now: map[string]entry{}, synced: map[string]entry{}} }

// change applies c and remembers it until the next SyncDir. The Mem is locked.
func (m *Mem) change(d *dir, c change) {
	m.retain(c.entry)
	d.pending = append(d.pending, c)
	m.apply(d.now, c)
}

func (m *Mem) apply(names map[string]entry, c change) {
	m.retain(c.entry)
	if c.gone != "" {
		m.release(names[c.gone])
		delete(names, c.gone)
	}
	if c.name != "" {
		m.release(names[c.name])
		names[c.name] = c.entry
	}
}

func (m *Mem) syncDir(d *dir) {
	for _, c := range d.pending {
		m.apply(d.synced, c)
		m.release(c.entry)
	}
	clear(d.pending)
	d.pending = d.pending[:0]
}

func (m *Mem) retain(e entry) {
	if n, ok := e.(*inode); ok {
		n.refs++
	}
}

// release gives a file's memory back once no name, open file or memory of a name
// leads to it.
func (m *Mem) release(e entry) {
	n, ok := e.(*inode)
	if !ok {
		return
	}
	if n.refs--; n.refs == 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.free(&m.chunks)
	}
}
