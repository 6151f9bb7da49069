package vfs_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
)

func BenchmarkMemWrite(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			m := vfs.NewMem(1)
			f, err := m.Create("f")
			require.NoError(b, err)
			p := make([]byte, size)
			b.SetBytes(int64(size))
			off := int64(0)
			for b.Loop() {
				if _, err := f.WriteAt(p, off); err != nil {
					b.Fatal(err)
				}
				if off += int64(size); off > 256<<20 {
					off = 0
					require.NoError(b, f.Truncate(0))
				}
			}
		})
	}
}

func BenchmarkMemKeep(b *testing.B) {
	for _, size := range []int{16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			f, err := vfs.NewMem(1).Create("f")
			require.NoError(b, err)
			s := slab.Of(make([]byte, size)).Span(0, size)
			b.SetBytes(int64(size))
			off := int64(0)
			for b.Loop() {
				if _, err := vfs.WriteSpanAt(f, s, off); err != nil {
					b.Fatal(err)
				}
				if off += int64(size); off > 10_000*int64(size) {
					off = 0
					require.NoError(b, f.Truncate(0))
				}
			}
		})
	}
}

func BenchmarkMemReadPieces(b *testing.B) {
	for _, pieces := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("pieces=%d", pieces), func(b *testing.B) {
			f, err := vfs.NewMem(1).Create("f")
			require.NoError(b, err)
			s := slab.Of(make([]byte, 1024)).Span(0, 1024)
			for i := range pieces {
				_, err := vfs.WriteSpanAt(f, s, int64(i)*1024)
				require.NoError(b, err)
			}
			p := make([]byte, 100)
			i := 0
			for b.Loop() {
				i = (i + 7919) % (pieces - 1)
				if _, err := f.ReadAt(p, int64(i)*1024+1000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
