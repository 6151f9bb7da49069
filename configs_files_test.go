package brokersim_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
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
		config: "segment.ms", value: "60000", without: 1, with: 2,
		look: func(t *testing.T, c *brokertest.C) any {
			require.NoError(t, write(t, c, kgo.StringRecord("x")))
			time.Sleep(time.Minute + time.Second)
			require.NoError(t, write(t, c, kgo.StringRecord("x")))
			return len(files(t, c, ".log"))
		},
	},
	{
		config: "retention.ms", value: "60000", without: int64(0), with: int64(10),
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			return startAfter(t, c, 10*time.Minute)
		},
	},
	{
		config: "retention.bytes", value: "3000", without: int64(0), with: int64(3), beside: []string{"segment.bytes=2000"},
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			return startAfter(t, c, 10*time.Minute)
		},
	},
	{
		config: "log.retention.check.interval.ms", value: "10000", without: int64(0), with: int64(10), beside: []string{"retention.ms=1000"},
		look: func(t *testing.T, c *brokertest.C) any {
			tenBatches(t, c)
			return startAfter(t, c, 20*time.Second)
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

// startAfter lets time pass and returns where the log starts then. What lies below
// has no file any more.
func startAfter(t *testing.T, c *brokertest.C, d time.Duration) int64 {
	t.Helper()
	time.Sleep(d)
	start := c.Partition("orders", 0).Replicas[0].LogStart
	first := slices.Min(slices.Collect(maps.Keys(files(t, c, ".log"))))
	require.Equal(t, fmt.Sprintf("%020d.log", start), first)
	if start < 10 {
		require.Equal(t, start, read(t, c, 1)[0].Offset, "a consumer begins where the log starts")
	}
	return start
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
