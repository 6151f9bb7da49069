package broker

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/codec"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/partition/batchtest"
)

// A batch that is refused because of one record says which, from version 8 on.
func TestProduceNamesTheBadRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, 1)
		c.createTopic("orders", [][]int32{{1}})
		bad := spoiledRecord(t)
		for version := int16(3); version <= 12; version++ {
			a := produced1(t, c.client(1), produceRequest(version, "orders", [16]byte{}, 0, -1, bad))
			require.Equal(t, kerr.InvalidRecord.Code, a.ErrorCode, "version %d", version)
			if version < 8 {
				require.Empty(t, a.ErrorRecords)
				continue
			}
			require.Len(t, a.ErrorRecords, 1)
			require.EqualValues(t, 1, a.ErrorRecords[0].RelativeOffset)
			require.NotEmpty(t, *a.ErrorRecords[0].ErrorMessage)
			require.NotEmpty(t, *a.ErrorMessage)
		}
		a := produced1(t, c.client(1), produceRequest(9, "orders", [16]byte{}, 0, -1, nil))
		require.Empty(t, a.ErrorRecords, "of no record in particular")
	})
}

// spoiledRecord is a batch whose second record claims another place than its own.
func spoiledRecord(t *testing.T) []byte {
	t.Helper()
	b := batchtest.NewBatch("a", "b")
	const header, offsetDelta = 61, 3 // behind length, attributes and timestamp delta
	second := header + 1 + int(b[header]>>1)
	require.EqualValues(t, 2, b[second+offsetDelta], "the zigzag of 1")
	b[second+offsetDelta] = 8
	return batchtest.Seal(b)
}

// A client that fetches in a version from before zstd (KIP-110) hears that it cannot
// read what follows, and gets what it can; also if each batch comes as a piece of its own.
func TestFetchBeforeZstd(t *testing.T) {
	for _, size := range []int{10, 10_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { fetchBeforeZstd(t, size) }) })
	}
}

func fetchBeforeZstd(t *testing.T, size int) {
	c := startCluster(t, 2)
	topic := c.createTopic("orders", [][]int32{{1, 2}})
	client := c.client(1)
	rng := rand.NewChaCha8([32]byte{})
	value := make([]byte, size) // that nobody can make smaller
	_, _ = rng.Read(value)
	mustProduce(t, client, "orders", string(value))
	for _, codec := range []codec.Type{codec.ZSTD, codec.None} {
		a := produced1(t, client, produceRequest(9, "orders", [16]byte{}, 0, -1,
			batchtest.Spec{Codec: codec, Records: batchtest.Values(string(value), "too")}.Bytes()))
		require.Zero(t, a.ErrorCode)
	}
	for version := int16(4); version <= 12; version++ {
		req := fetchRequest(version, topic, 0)
		p := fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
		require.Zero(t, p.ErrorCode, "version %d", version)
		batches := 1
		if version >= 10 {
			batches = 3
		}
		require.Len(t, batchesIn(p.RecordBatches), batches, "version %d", version)
		req.Topics[0].Partitions[0].FetchOffset = 1
		p = fetched1(t, ask[*kmsg.FetchResponse](t, client, req))
		if version >= 10 {
			require.Zero(t, p.ErrorCode)
			continue
		}
		require.Equal(t, kerr.UnsupportedCompressionType.Code, p.ErrorCode, "version %d", version)
		require.Empty(t, p.RecordBatches)
	}
}

func batchesIn(records []byte) (all []partition.Batch) {
	for b := range partition.Batches(records) {
		all = append(all, b)
	}
	return all
}
