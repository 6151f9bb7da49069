package vfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// osFS is a directory of the real machine.
type osFS struct {
	dir     string
	session string
}

// NewOS returns the disk that is the directory dir, which is made if it is
// missing.
func NewOS(dir string) (FS, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return osFS{dir, bootID()}, nil
}

func (o osFS) Session() string { return o.session }

func (o osFS) path(op, name string) (string, error) {
	if _, err := split(op, name); err != nil {
		return "", err
	}
	return filepath.Join(o.dir, filepath.FromSlash(name)), nil
}

func (o osFS) Open(name string) (File, error) { return o.open("open", name, os.O_RDWR) }

func (o osFS) Create(name string) (File, error) {
	return o.open("create", name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (o osFS) open(op, name string, flag int) (File, error) {
	path, err := o.path(op, name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o osFS) Remove(name string) error {
	path, err := o.path("remove", name)
	if err != nil {
		return err
	}
	if path == o.dir {
		return pathError("remove", name, fs.ErrInvalid)
	}
	return os.Remove(path)
}

func (o osFS) Rename(from, to string) error {
	src, err := o.path("rename", from)
	if err != nil {
		return err
	}
	dst, err := o.path("rename", to)
	if err != nil {
		return err
	}
	if at, err := os.Stat(dst); err == nil && at.IsDir() && src != dst {
		return pathError("rename", to, fs.ErrExist) // some systems replace an empty directory
	}
	return os.Rename(src, dst)
}

func (o osFS) MkdirAll(dir string) error {
	path, err := o.path("mkdir", dir)
	if err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}

func (o osFS) List(dir string) ([]string, error) {
	path, err := o.path("list", dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (o osFS) SyncDir(dir string) error {
	path, err := o.path("sync", dir)
	if err != nil {
		return err
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if runtime.GOOS == "windows" {
		err = nil // a directory cannot be synced there; its file system does it itself
	}
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

// osFile adds what *os.File lacks.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
