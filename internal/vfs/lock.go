package vfs

import (
	"errors"
	"io"
)

// ErrLocked says that somebody else holds a lock: another process, or this one.
var ErrLocked = errors.New("it is in use")

// Lock takes the lock file at a path of the real machine, which is made if it is
// missing, until it is closed or the process ends. ErrLocked if it is taken.
func Lock(path string) (io.Closer, error) { return lock(path) }
