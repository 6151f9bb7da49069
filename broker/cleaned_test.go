package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

func TestTheCleanersCheckpoint(t *testing.T) {
	disk := vfs.NewMem(0)
	c, orders, cups := newCleaned(disk), topicPartition{"orders", 0}, topicPartition{"cups", 3}
	on := func() string {
		disk.PowerLoss()
		text, err := vfs.ReadFile(disk, cleanedFile)
		require.NoError(t, err)
		return string(text)
	}
	advance := func(tp topicPartition, to int64) {
		_, turn := c.of(tp)
		require.NoError(t, c.advance(tp, turn, to))
	}
	advance(orders, 100)
	advance(cups, 7)
	require.Equal(t, "0\n2\ncups 3 7\norders 0 100\n", on())

	require.NoError(t, c.cut(orders, 100))
	require.NoError(t, c.cut(orders, 60))
	require.NoError(t, c.cut(cups, 60))
	require.Equal(t, "0\n2\ncups 3 7\norders 0 60\n", on())

	// What a compaction has found out counts only if the log is still the same.
	_, turn := c.of(orders)
	require.NoError(t, c.cut(orders, 200))
	require.NoError(t, c.advance(orders, turn, 120))
	to, turn := c.of(orders)
	require.EqualValues(t, 60, to)
	require.NoError(t, c.forget(orders))
	require.NoError(t, c.advance(orders, turn, 120))
	require.Equal(t, "0\n1\ncups 3 7\n", on())
}

// An entry that a log does not bear out is lowered before the log grows again; one
// without a log goes.
func TestTheCleanersCheckpointIsNotBelieved(t *testing.T) {
	disk := vfs.NewMem(0)
	log, _, err := partition.Open(disk, "orders-0", partition.Config{})
	require.NoError(t, err)
	defer log.Close()
	for _, value := range []string{"a", "b"} {
		_, err := log.AppendAsFollower(one(value), 0)
		require.NoError(t, err)
		break
	}
	table := &replicaTable{cleaned: newCleaned(disk), found: map[string]*foundLog{"orders-0": {log: log}}}
	was := offsetCheckpoint{{"orders", 0}: 5, {"gone", 1}: 9}
	require.NoError(t, table.restoreCleaned(&was))
	to, _ := table.cleaned.of(topicPartition{"orders", 0})
	require.EqualValues(t, 1, to)
	text, err := vfs.ReadFile(disk, cleanedFile)
	require.NoError(t, err)
	require.Equal(t, "0\n1\norders 0 1\n", string(text))
	require.NoError(t, table.restoreCleaned(nil), "nothing was there")
}
