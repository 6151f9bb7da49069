package brokersim_test

import (
	"sync/atomic"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/internal/vfs"
)

// A spy is a disk as one incarnation of a node uses it. It counts what that incarnation
// does to the disk after it has ended, and can hold an operation where nobody can call it
// back: inside of the disk.
type spy struct {
	brokersim.RawDisk
	ended atomic.Bool
	late  atomic.Int64 // changes that came afterwards
	stall atomic.Pointer[stall]
}

// A stall holds the first operation of a kind.
type stall struct {
	op      vfs.Op
	taken   atomic.Bool
	held    chan struct{} // closed when it is held
	release chan struct{} // close it to let it go
}

func newStall(op vfs.Op) *stall {
	return &stall{op: op, held: make(chan struct{}), release: make(chan struct{})}
}

// touch is called before each change of the disk.
func (s *spy) touch(op vfs.Op) {
	if st := s.stall.Load(); st != nil && st.op == op && !st.taken.Swap(true) {
		close(st.held)
		<-st.release
	}
	if s.ended.Load() {
		s.late.Add(1)
	}
}

func (s *spy) Open(name string) (vfs.File, error) { return s.file(s.RawDisk.Open(name)) }

func (s *spy) Create(name string) (vfs.File, error) {
	s.touch(vfs.OpCreate)
	return s.file(s.RawDisk.Create(name))
}

func (s *spy) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &spyFile{f, s}, nil
}

func (s *spy) Remove(name string) error { s.touch(vfs.OpRemove); return s.RawDisk.Remove(name) }

func (s *spy) Rename(from, to string) error {
	s.touch(vfs.OpRename)
	return s.RawDisk.Rename(from, to)
}

func (s *spy) MkdirAll(dir string) error { s.touch(vfs.OpMkdir); return s.RawDisk.MkdirAll(dir) }
func (s *spy) SyncDir(dir string) error  { s.touch(vfs.OpSyncDir); return s.RawDisk.SyncDir(dir) }

type spyFile struct {
	vfs.File
	spy *spy
}

func (f *spyFile) WriteAt(b []byte, at int64) (int, error) {
	f.spy.touch(vfs.OpWrite)
	return f.File.WriteAt(b, at)
}

func (f *spyFile) Truncate(size int64) error {
	f.spy.touch(vfs.OpTruncate)
	return f.File.Truncate(size)
}

func (f *spyFile) Sync() error { f.spy.touch(vfs.OpSync); return f.File.Sync() }
