package vfs

import (
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/slab"
)

// Gated returns the disk as one incarnation of a node sees it: every operation
// passes g first, so it waits while the node is paused and fails with
// gate.ErrShut once the incarnation has ended. If disk is one that WithFaults
// made, an operation that was slow passes g again before it has any effect, so
// that nothing of a dead incarnation arrives late.
func Gated(disk FS, g *gate.Gate) FS {
	if f, ok := disk.(*faultyFS); ok {
		disk = &faultyFS{f.disk, f.faults, g}
	}
	return &gatedFS{disk, g}
}

type gatedFS struct {
	disk FS
	gate *gate.Gate
}

func (d *gatedFS) Session() string { return d.disk.Session() }

func (d *gatedFS) Open(name string) (File, error) {
	if err := d.gate.Pass(); err != nil {
		return nil, pathError("open", name, err)
	}
	return d.file(d.disk.Open(name))
}

func (d *gatedFS) Create(name string) (File, error) {
	if err := d.gate.Pass(); err != nil {
		return nil, pathError("create", name, err)
	}
	return d.file(d.disk.Create(name))
}

func (d *gatedFS) file(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &gatedFile{f, d.gate}, nil
}

func (d *gatedFS) Remove(name string) error {
	if err := d.gate.Pass(); err != nil {
		return pathError("remove", name, err)
	}
	return d.disk.Remove(name)
}

func (d *gatedFS) Rename(from, to string) error {
	if err := d.gate.Pass(); err != nil {
		return pathError("rename", from, err)
	}
	return d.disk.Rename(from, to)
}

func (d *gatedFS) MkdirAll(dir string) error {
	if err := d.gate.Pass(); err != nil {
		return pathError("mkdir", dir, err)
	}
	return d.disk.MkdirAll(dir)
}

func (d *gatedFS) List(dir string) ([]string, error) {
	if err := d.gate.Pass(); err != nil {
		return nil, pathError("list", dir, err)
	}
	return d.disk.List(dir)
}

func (d *gatedFS) SyncDir(dir string) error {
	if err := d.gate.Pass(); err != nil {
		return pathError("sync", dir, err)
	}
	return d.disk.SyncDir(dir)
}

// gatedFile passes the gate for everything but Close: a dead incarnation may
// always let go of what it has open.
type gatedFile struct {
	File
	gate *gate.Gate
}

func (f *gatedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.gate.Pass(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *gatedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.gate.Pass(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Keeps goes by the file inside, whether the gate is open or not.
func (f *gatedFile) Keeps() bool { return Keeps(f.File) }

func (f *gatedFile) KeepAt(s slab.Span, off int64) (int, error) {
	if err := f.gate.Pass(); err != nil {
		return 0, err
	}
	return WriteSpanAt(f.File, s, off)
}

func (f *gatedFile) Truncate(size int64) error {
	if err := f.gate.Pass(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *gatedFile) Sync() error {
	if err := f.gate.Pass(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *gatedFile) Size() (int64, error) {
	if err := f.gate.Pass(); err != nil {
		return 0, err
	}
	return f.File.Size()
}
