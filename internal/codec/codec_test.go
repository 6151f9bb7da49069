package codec_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim/internal/codec"
)

var packed = []codec.Type{codec.Gzip, codec.Snappy, codec.LZ4, codec.ZSTD}

func content(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefgh"[rng.IntN(8)]
	}
	return b
}

func TestWhatIsPackedUnpacksAgain(t *testing.T) {
	var d codec.Decoder
	for _, c := range append(packed, codec.None) {
		for _, n := range []int{0, 1, 100, 70_000, 300_000} {
			src := content(n)
			p, err := codec.Compress(c, src)
			require.NoError(t, err)
			got, err := d.Decompress(c, p)
			require.NoError(t, err, "%v of %d bytes", c, n)
			require.True(t, bytes.Equal(src, got), "%v of %d bytes", c, n)
		}
	}
}

func TestClientsCanReadWhatIsPacked(t *testing.T) {
	src := content(5000)
	for _, c := range packed {
		p, err := codec.Compress(c, src)
		require.NoError(t, err)
		got, err := kgo.DefaultDecompressor().Decompress(p, kgo.CompressionCodecType(c))
		require.NoError(t, err)
		require.Equal(t, src, got)
	}
}

func TestSnappyFramesOfTheJavaClient(t *testing.T) {
	one, _ := codec.Compress(codec.Snappy, []byte("hello, "))
	two, _ := codec.Compress(codec.Snappy, []byte("world"))
	framed := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}
	for _, block := range [][]byte{one, two} {
		framed = binary.BigEndian.AppendUint32(framed, uint32(len(block)))
		framed = append(framed, block...)
	}
	var d codec.Decoder
	got, err := d.Decompress(codec.Snappy, framed)
	require.NoError(t, err)
	require.Equal(t, "hello, world", string(got))

	_, err = d.Decompress(codec.Snappy, framed[:len(framed)-1])
	require.Error(t, err)
}

// A bomb of any kind is refused, and costs memory of the limit's order at most.
func TestBombIsRefused(t *testing.T) {
	for _, c := range []codec.Type{codec.Gzip, codec.LZ4, codec.ZSTD} {
		p, err := codec.Compress(c, make([]byte, codec.MaxUnpacked+1))
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = new(codec.Decoder).Decompress(c, p)
		runtime.ReadMemStats(&after)
		require.ErrorIs(t, err, codec.ErrTooLarge, c)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8*codec.MaxUnpacked), c)
	}
	claim := binary.AppendUvarint(nil, 1<<31) // snappy says at the start how much it is
	_, err := new(codec.Decoder).Decompress(codec.Snappy, append(claim, 0))
	require.ErrorIs(t, err, codec.ErrTooLarge)
}

var countAllocations = true

func TestUnpackingReusesItsBuffers(t *testing.T) {
	for _, c := range packed {
		p, err := codec.Compress(c, content(100_000))
		require.NoError(t, err)
		var d codec.Decoder
		unpack := func() {
			if _, err := d.Decompress(c, p); err != nil {
				t.Fatal(err)
			}
		}
		unpack()
		if n := testing.AllocsPerRun(20, unpack); countAllocations {
			require.LessOrEqual(t, n, 2.0, c)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]codec.Type{"gzip": codec.Gzip, "snappy": codec.Snappy, "lz4": codec.LZ4, "zstd": codec.ZSTD, "uncompressed": codec.None} {
		got, ok := codec.Named(name)
		require.True(t, ok, name)
		require.Equal(t, want, got)
	}
	_, ok := codec.Named("producer")
	require.False(t, ok)
	require.False(t, codec.Type(5).Known())
	require.Equal(t, "zstd", codec.ZSTD.String())
}

func FuzzDecompress(f *testing.F) {
	for _, c := range packed {
		p, _ := codec.Compress(c, content(300))
		f.Add(int8(c), p)
	}
	f.Fuzz(func(t *testing.T, c int8, src []byte) {
		var d codec.Decoder
		_, _ = d.Decompress(codec.Type(c), src) // an error is fine, a panic is not
	})
}
