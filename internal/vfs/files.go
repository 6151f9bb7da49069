package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// RemoveAll removes a file, or a directory and all that is in it. What is not
// there is no error. The removal is durable after a SyncDir of the parent.
func RemoveAll(disk FS, name string) error {
	names, err := disk.List(name)
	if err == nil {
		for _, n := range names {
			if err := RemoveAll(disk, path.Join(name, strings.TrimSuffix(n, "/"))); err != nil {
				return err
			}
		}
	}
	if err := disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// maxReadFile bounds what ReadFile takes into memory.
const maxReadFile = 1 << 30

// ReadFile returns the content of a file.
func ReadFile(disk FS, name string) ([]byte, error) {
	f, err := disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > maxReadFile {
		return nil, fmt.Errorf("%s has %d bytes: too many to read at once", name, size)
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}

// WriteFileSynced replaces the content of a file durably and at once: whoever
// reads it later, even after a power loss in the middle, sees the old content or
// the new one. It writes a file beside it, named like it with ".tmp" behind.
func WriteFileSynced(disk FS, name string, content []byte) error {
	tmp := name + ".tmp"
	f, err := disk.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = disk.Rename(tmp, name)
	}
	if err != nil {
		return err
	}
	return disk.SyncDir(path.Dir(name))
}
