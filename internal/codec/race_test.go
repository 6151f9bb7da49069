//go:build race

package codec_test

// The race detector makes pools forget, so what is allocated says nothing.
func init() { countAllocations = false }
