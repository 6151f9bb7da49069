//go:build !linux

package bench

import "testing"

// forget skips: there is no portable way to have a file dropped from the cache.
func forget(b *testing.B, _ string) { b.Skip("needs posix_fadvise") }
