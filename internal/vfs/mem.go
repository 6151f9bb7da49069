package vfs

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Mem is a disk in memory. It survives the crash of the process that uses it, and
// it can lose power. It is safe for concurrent use.
type Mem struct {
	seed   uint64
	chunks chunkPool

	session atomic.Int64 // power losses and wipes

	mu   sync.Mutex // guards the tree: names, not bytes
	root *dir
	rng  *rand.Rand // of power losses; nil if they are exact
}

// NewMem returns an empty disk. seed decides what a power loss leaves of what was
// not synced; with 0 it leaves nothing of it.
func NewMem(seed uint64) *Mem {
	m := &Mem{seed: seed, root: newDir()}
	if seed != 0 {
		m.rng = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	}
	return m
}

// Session changes with PowerLoss and Wipe.
func (m *Mem) Session() string {
	return fmt.Sprintf("mem-%d-%d", m.seed, m.session.Load())
}

// Open opens an existing file.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parent("open", name)
	if err != nil {
		return nil, err
	}
	switch e := d.now[base].(type) {
	case *inode:
		return m.handle(e, name), nil
	case *dir:
		return nil, pathError("open", name, syscall.EISDIR)
	}
	return nil, pathError("open", name, fs.ErrNotExist)
}

// Create makes a file, or empties the one that is there.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parent("create", name)
	if err != nil {
		return nil, err
	}
	switch e := d.now[base].(type) {
	case *inode:
		e.mu.Lock()
		e.truncate(&m.chunks, 0)
		e.mu.Unlock()
		return m.handle(e, name), nil
	case *dir:
		return nil, pathError("create", name, syscall.EISDIR)
	}
	n := &inode{}
	m.change(d, change{name: base, entry: n})
	return m.handle(n, name), nil
}

// Remove removes a file or an empty directory. Open files of it stay usable.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parent("remove", name)
	if err != nil {
		return err
	}
	e, ok := d.now[base]
	if !ok {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if sub, ok := e.(*dir); ok && len(sub.now) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	m.change(d, change{gone: base})
	return nil
}

// Rename gives a file or directory another name, atomically. A file replaces a
// file of that name; nothing replaces a directory.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parent("rename", from)
	if err != nil {
		return err
	}
	e, ok := d.now[base]
	if !ok {
		return pathError("rename", from, fs.ErrNotExist)
	}
	target, newBase, err := m.parent("rename", to)
	if err != nil {
		return err
	}
	if err := replaceable(e, target.now[newBase]); err != nil {
		return pathError("rename", to, err)
	}
	switch sub, isDir := e.(*dir); {
	case from == to:
	case isDir && (strings.HasPrefix(to, from+"/") || sub == target):
		return pathError("rename", to, syscall.EINVAL) // into itself
	case d == target:
		m.change(d, change{gone: base, name: newBase, entry: e})
	default:
		m.change(target, change{name: newBase, entry: e})
		m.change(d, change{gone: base})
	}
	return nil
}

// replaceable says why what has the name at present cannot give way to e.
func replaceable(e, present entry) error {
	if present == nil || present == e {
		return nil
	}
	_, isDir := e.(*dir)
	_, overDir := present.(*dir)
	switch {
	case overDir && !isDir:
		return syscall.EISDIR
	case overDir:
		return fs.ErrExist
	case isDir:
		return syscall.ENOTDIR
	}
	return nil
}

// MkdirAll makes a directory and those above it, where they are missing.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	names, err := split("mkdir", name)
	if err != nil {
		return err
	}
	d := m.root
	for _, base := range names {
		switch e := d.now[base].(type) {
		case *dir:
			d = e
		case *inode:
			return pathError("mkdir", name, syscall.ENOTDIR)
		default:
			sub := newDir()
			m.change(d, change{name: base, entry: sub})
			d = sub
		}
	}
	return nil
}

// List returns the names in a directory.
func (m *Mem) List(name string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dir("list", name)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(d.now))
	for base, e := range d.now {
		if _, ok := e.(*dir); ok {
			base += "/"
		}
		names = append(names, base)
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir makes the names in a directory durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dir("sync", name)
	if err != nil {
		return err
	}
	m.syncDir(d)
	return nil
}

// parent finds the directory that name lies in. The Mem is locked.
func (m *Mem) parent(op, name string) (*dir, string, error) {
	names, err := split(op, name)
	if err != nil {
		return nil, "", err
	}
	if len(names) == 0 {
		return nil, "", pathError(op, name, fs.ErrInvalid)
	}
	d, err := m.walk(op, name, names[:len(names)-1])
	return d, names[len(names)-1], err
}

func (m *Mem) dir(op, name string) (*dir, error) {
	names, err := split(op, name)
	if err != nil {
		return nil, err
	}
	return m.walk(op, name, names)
}

func (m *Mem) walk(op, name string, names []string) (*dir, error) {
	d := m.root
	for _, base := range names {
		switch e := d.now[base].(type) {
		case *dir:
			d = e
		case *inode:
			return nil, pathError(op, name, syscall.ENOTDIR)
		default:
			return nil, pathError(op, name, fs.ErrNotExist)
		}
	}
	return d, nil
}

// split takes a name apart. "" and "." are the root.
func split(op, name string) ([]string, error) {
	if name == "" || name == "." {
		return nil, nil
	}
	if !fs.ValidPath(name) {
		return nil, pathError(op, name, fs.ErrInvalid)
	}
	return strings.Split(name, "/"), nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
