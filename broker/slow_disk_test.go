package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// A new leader whose disk is slow takes its role late, but the metadata log and
// the heartbeats do not wait for that.
func TestSlowDiskDelaysOnlyItsRoles(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 3)
		old := c.leader("orders", 0)
		next := c.brokers[c.state(old, "orders", 0).Replicas[1]]
		time.Sleep(checkpointEvery + time.Second)
		heal := next.faults.SlowBy(30*time.Second, 30*time.Second)
		c.kill(c.brokers[old.ID()])

		b := next.broker
		c.eventually("it knows that it leads", func() bool { return c.state(b, "orders", 0).Leader == b.ID() })
		offset := b.Image().Offset()
		// Not Leading: who asks that helps the role along, and may wait for the disk.
		leads := func() bool { return c.replica(b, "orders", 0).Status().Role == replication.Leading }
		require.False(t, leads(), "the epoch is not written down yet")

		c.start(old.ID())
		c.eventually("the log goes on", func() bool { return b.Image().Offset() > offset })
		require.False(t, leads())
		time.Sleep(10 * time.Second)
		me, _ := b.Image().Broker(b.ID())
		require.False(t, me.Fenced)
		require.NotContains(t, c.kinds(), event.SessionExpired)
		heal()
		c.eventually("it leads", leads)
		c.write(b, "orders", 0, "at last")
		require.NotEqual(t, metadata.NoLeader, c.state(b, "orders", 0).Leader)
		c.nothingFailed()
	})
}
