package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flush.ms: what was written longer ago is there after a power loss; without it,
// it need not be.
func TestFlushInterval(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("flushed", 1, 1, "flush.ms", "100")
		b := c.brokers[1].broker
		c.write(b, "flushed", 0, "one")
		time.Sleep(200 * time.Millisecond)
		c.write(b, "flushed", 0, "two")
		time.Sleep(200 * time.Millisecond)
		c.powerOff(c.brokers[1])
		time.Sleep(5 * time.Second)
		c.start(1)
		c.unfenced()
		c.eventually("it leads again", func() bool { return c.leader("flushed", 0) != nil })
		require.Equal(t, int64(2), c.replica(c.brokers[1].broker, "flushed", 0).Log().LogEndOffset())
	})
}
