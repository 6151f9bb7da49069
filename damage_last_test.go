package brokersim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// The broker that is the last one known to have led finds a log that does not say whose it
// is. It does not take it for a deleted topic's, and lead with nothing: it says what is wrong,
// and leads with everything once that is mended.
func TestTheLastOneDoesNotThrowItsLogAway(t *testing.T) {
	const name = "orders-0/partition.metadata"
	for how, hurt := range map[string]func(t *testing.T, disk vfs.FS){
		"removed":       func(t *testing.T, disk vfs.FS) { require.NoError(t, disk.Remove(name)) },
		"newer version": func(t *testing.T, disk vfs.FS) { flip(t, disk, name, 0.2) },
		"another topic": func(t *testing.T, disk vfs.FS) { flip(t, disk, name, 0.8) },
	} {
		t.Run(how, func(t *testing.T) {
			onDisks(t, func(t *testing.T, c *brokertest.C) {
				produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), "a")
				c.Must(brokersim.Replicated("orders", 0, 1))
				time.Sleep(6 * time.Second) // the high watermark is remembered
				last := c.Leader("orders", 0)
				require.NoError(t, last.Kill())
				c.Must(brokersim.NoLeader("orders", 0))
				disk := brokersim.FilesOf(last)
				before, err := vfs.ReadFile(disk, name)
				require.NoError(t, err)
				hurt(t, disk)

				require.NoError(t, last.Start())
				failed(t, c, last, "partition.metadata is corrupt", "the topic")
				require.NoError(t, vfs.WriteFileSynced(disk, name, before))
				require.NoError(t, last.Start())
				c.Must(brokersim.LedBy("orders", 0, last.ID()))
				require.Equal(t, []string{"a"}, consume(t, c, "orders", 1))
			}, brokersim.Topic("orders", 1, 1))
		})
	}
}
