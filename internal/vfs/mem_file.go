package vfs

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/slab"
)

// memFile is an open file of a Mem. It is dead once its disk's session is over.
type memFile struct {
	mem     *Mem
	node    *inode
	name    string
	session int64

	closed atomic.Bool
}

// handle opens n. The Mem is locked.
func (m *Mem) handle(n *inode, name string) *memFile {
	n.refs++
	return &memFile{mem: m, node: n, name: name, session: m.session.Load()}
}

var errNegative = errors.New("negative offset or size")

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	if err := f.usable("read", off); err != nil {
		return 0, err
	}
	n := f.node.content.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	return f.KeepAt(slab.Borrow(p), off)
}

// Keeps is true: what is shared need not be copied into memory.
func (f *memFile) Keeps() bool { return true }

// KeepAt is WriteAt. It keeps what is shared of s, if it is to be the end of the file.
func (f *memFile) KeepAt(s slab.Span, off int64) (int, error) {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if err := f.usable("write", off); err != nil {
		return 0, err
	}
	if s.Len() > 0 {
		f.node.write(&f.mem.chunks, s, off)
	}
	return s.Len(), nil
}

func (f *memFile) Truncate(size int64) error {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if err := f.usable("truncate", size); err != nil {
		return err
	}
	f.node.truncate(&f.mem.chunks, size)
	return nil
}

func (f *memFile) Sync() error {
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	if err := f.usable("sync", 0); err != nil {
		return err
	}
	f.node.sync(&f.mem.chunks)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	if err := f.usable("stat", 0); err != nil {
		return 0, err
	}
	return f.node.content.size, nil
}

// Close fails if the file is closed already.
func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	f.mem.release(f.node)
	return nil
}

// usable says whether an operation may go on. The bytes are locked.
func (f *memFile) usable(op string, off int64) error {
	switch {
	case f.closed.Load() || f.session != f.mem.session.Load():
		return pathError(op, f.name, fs.ErrClosed)
	case off < 0:
		return pathError(op, f.name, errNegative)
	}
	return nil
}
