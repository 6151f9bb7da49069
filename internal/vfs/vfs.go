package vfs

import "io"

// FS is a tree of files below one root. Names are slash-separated and relative
// to it. Errors satisfy errors.Is with fs.ErrNotExist and fs.ErrExist where they
// apply. It is safe for concurrent use.
type FS interface {
	Open(name string) (File, error)   // an existing file, to read and write
	Create(name string) (File, error) // a new file, or an existing one emptied
	Remove(name string) error         // a file or an empty directory
	Rename(from, to string) error     // atomic; replaces to if it is a file
	MkdirAll(dir string) error
	List(dir string) ([]string, error) // names in dir, sorted; a directory's ends in "/"
	// SyncDir makes the directory's entries durable: created, renamed and removed
	// names are lost in a power loss without it.
	SyncDir(dir string) error
	// Session names the stretch of time in which nothing written can have been
	// lost: it changes with a power loss. "" if that is not known.
	Session() string
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt // past the end, the gap reads as zeros
	io.Closer
	Truncate(size int64) error
	Sync() error // makes the file's bytes durable
	Size() (int64, error)
}
