package brokersim_test

import (
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// effectsOnFiles are what the log looks like on the disk.
var effectsOnFiles = []effect{
	{
		config: "segment.bytes", value: "2000", without: 1, with: 4,
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			return len(files(t, c, ".log"))
		},
	},
	{
		config: "index.interval.bytes", value: "500", without: 1, with: 9,
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			require.NoError(t, c.Broker(1).Stop()) // an index need not be on the disk any sooner
			return int(files(t, c, ".index")["00000000000000000000.index"] / 8)
		},
	},
	{
		config: "segment.index.bytes", value: "32", without: 1, with: 2, beside: []string{"index.interval.bytes=500"},
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			return len(files(t, c, ".log"))
		},
	},
	{
		config: "flush.ms", value: "1000", without: "lost in a power loss", with: "kept",
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			time.Sleep(3 * time.Second)
			require.NoError(t, c.Broker(1).PowerOff())
			require.NoError(t, c.Broker(1).Start())
			c.Must(brokersim.HasLeader("orders", 0))
			if c.Partition("orders", 0).HighWatermark < 10 {
				return "lost in a power loss"
			}
			return "kept"
		},
	},
}

// tenBatches writes ten batches of a little more than 500 bytes.
func tenBatches(t *testing.T, c *brokertest.C) {
	t.Helper()
	for range 10 {
		require.NoError(t, write(t, c, kgo.StringRecord(strings.Repeat("x", 450))))
	}
}

// files is the size of every file of the log that ends so.
func files(t *testing.T, c *brokertest.C, suffix string) map[string]int64 {
	t.Helper()
	disk, sizes := brokersim.FilesOf(c.Broker(1)), map[string]int64{}
	names, err := disk.List("orders-0")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			f, err := disk.Open(path.Join("orders-0", name))
			require.NoError(t, err)
			sizes[name], err = f.Size()
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
	return sizes
}
