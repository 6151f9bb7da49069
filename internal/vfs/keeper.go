package vfs

import "github.com/brokersim/brokersim/internal/slab"

// A Keeper is a File that may keep bytes which nobody changes any more, instead of a
// copy of them: a file of a memory disk, and whatever such a file is wrapped into.
type Keeper interface {
	File
	// Keeps reports whether KeepAt is more than WriteAt.
	Keeps() bool
	// KeepAt is WriteAt. What is shared of s it may keep.
	KeepAt(s slab.Span, off int64) (int, error)
}

// Keeps reports whether it is worth while to have f written from shared memory.
func Keeps(f File) bool {
	k, ok := f.(Keeper)
	return ok && k.Keeps()
}

// WriteSpanAt writes s at off. A file that can keep it does.
func WriteSpanAt(f File, s slab.Span, off int64) (int, error) {
	if k, ok := f.(Keeper); ok && s.Shared() {
		return k.KeepAt(s, off)
	}
	return f.WriteAt(s.Bytes(), off)
}
