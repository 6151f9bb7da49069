//go:build !linux && !darwin

package vfs

// bootID is not known here, so every start counts as one after a power loss.
func bootID() string { return "" }
