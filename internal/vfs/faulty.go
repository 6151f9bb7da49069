package vfs

import (
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
)

// WithFaults returns the disk with whatever is wrong with it at the moment of
// each operation. Reads stay as they are but for faults that name them.
func WithFaults(disk FS, faults *Faults) FS { return &faultyFS{disk: disk, faults: faults} }

type faultyFS struct {
	disk   FS
	faults *Faults
	gate   *gate.Gate // passed again after a delay; nil is always open
}

// Strike has the faults of a disk befall an operation that is about to be done on it by
// somebody who writes files by himself: it waits as long as op on name is to be slow, passes
// the gate of the incarnation, and returns the error that op is to fail with. A disk without faults has none.
func Strike(disk FS, op Op, verb, name string) error {
	if g, ok := disk.(*gatedFS); ok {
		if err := g.gate.Pass(); err != nil {
			return pathError(verb, name, err)
		}
		disk = g.disk
	}
	if d, ok := disk.(*faultyFS); ok {
		return d.strike(op, verb, name)
	}
	return nil
}

// strike returns the error that op is to fail with.
func (d *faultyFS) strike(op Op, verb, name string) error {
	if _, err := d.faults.strike(d.gate, op, name); err != nil {
		return pathError(verb, name, err)
	}
	return nil
}

func (d *faultyFS) Session() string { return d.disk.Session() }

func (d *faultyFS) Open(name string) (File, error) {
	if err := d.strike(OpOpen, "open", name); err != nil {
		return nil, err
	}
	return d.file(name)(d.disk.Open(name))
}

func (d *faultyFS) Create(name string) (File, error) {
	if err := d.strike(OpCreate, "create", name); err != nil {
		return nil, err
	}
	return d.file(name)(d.disk.Create(name))
}

func (d *faultyFS) file(name string) func(File, error) (File, error) {
	return func(f File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &faultyFile{f, d, name}, nil
	}
}

func (d *faultyFS) Remove(name string) error {
	if err := d.strike(OpRemove, "remove", name); err != nil {
		return err
	}
	return d.disk.Remove(name)
}

func (d *faultyFS) Rename(from, to string) error {
	if err := d.strike(OpRename, "rename", from); err != nil {
		return err
	}
	return d.disk.Rename(from, to)
}

func (d *faultyFS) MkdirAll(dir string) error {
	if err := d.strike(OpMkdir, "mkdir", dir); err != nil {
		return err
	}
	return d.disk.MkdirAll(dir)
}

func (d *faultyFS) List(dir string) ([]string, error) {
	if err := d.strike(OpList, "list", dir); err != nil {
		return nil, err
	}
	return d.disk.List(dir)
}

func (d *faultyFS) SyncDir(dir string) error {
	if err := d.strike(OpSyncDir, "sync", dir); err != nil {
		return err
	}
	return d.disk.SyncDir(dir)
}

type faultyFile struct {
	File
	disk *faultyFS
	name string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.disk.strike(OpRead, "read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	return f.KeepAt(slab.Borrow(p), off)
}

// Keeps goes by the file inside.
func (f *faultyFile) Keeps() bool { return Keeps(f.File) }

// KeepAt meets the faults of writes.
func (f *faultyFile) KeepAt(s slab.Span, off int64) (int, error) {
	keep, err := f.disk.faults.strike(f.disk.gate, OpWrite, f.name)
	if err == nil {
		return WriteSpanAt(f.File, s, off)
	}
	n := 0
	if keep > 0 {
		n, _ = WriteSpanAt(f.File, s.Cut(0, min(keep, s.Len())), off)
	}
	return n, pathError("write", f.name, err)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.disk.strike(OpTruncate, "truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.disk.strike(OpSync, "sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}
