package broker

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
)

// updated makes a topic and appends ten updates of one key, which fill some segments.
func updated(t *testing.T, c *cluster, topic string) *Broker {
	t.Helper()
	c.createTopic(topic, 1, 1, compactedTopic...)
	b := c.leader(topic, 0)
	for range 10 {
		batch := batchOf([]string{""}, func(b *kmsg.RecordBatch) {
			r := kmsg.Record{Key: []byte("k"), Value: make([]byte, 300)}
			r.Length = int32(len(r.AppendTo(nil)) - 1)
			b.Records = r.AppendTo(nil)
		})
		a, err := c.replica(b, topic, 0).Append(t.Context(), batch, -1, time.Now())
		require.NoError(t, err)
		require.NoError(t, c.replica(b, topic, 0).AwaitCommitted(t.Context(), a))
	}
	return b
}

var compactedTopic = []string{"cleanup.policy", "compact", "segment.bytes", "1000"}

func TestTheCleanerRemembersWhereItWas(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		log := c.replica(updated(t, c, "orders"), "orders", 0).Log()
		before := log.Size()
		time.Sleep(16 * time.Second)
		require.Less(t, log.Size(), before/2)
		text, err := vfs.ReadFile(c.brokers[1].disk, cleanedFile)
		require.NoError(t, err)
		require.Equal(t, "0\n1\norders 0 8\n", string(text))

		c.kill(c.brokers[1])
		again := c.start(1)
		c.eventually("it hosts orders again", func() bool { return c.replica(again, "orders", 0) != nil })
		to, _ := again.replicas.cleaned.of(topicPartition{"orders", 0})
		require.EqualValues(t, 8, to)
		c.nothingFailed()
	})
}

// One log that is damaged, and one for which there is no room, do not keep the others
// from being compacted, nor the broker from going on.
func TestTheCleanerGoesRoundTrouble(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		n, topics := c.brokers[1], []string{"damaged", "full", "well"}
		for _, topic := range topics {
			updated(t, c, topic)
		}
		b := c.leader("well", 0)
		f, err := n.disk.Open("damaged-0/00000000000000000002.log")
		require.NoError(t, err)
		_, err = f.WriteAt([]byte{0xff}, 70)
		require.NoError(t, err)
		heal := n.faults.Fail(vfs.OpCreate, "full-0/*.cleaned", syscall.ENOSPC)
		small := func(topic string) bool { return c.replica(b, topic, 0).Log().Size() < 2000 }
		time.Sleep(3 * 16 * time.Second)
		require.Equal(t, []bool{false, false, true}, []bool{small("damaged"), small("full"), small("well")})
		heal()
		time.Sleep(16 * time.Second)
		require.Equal(t, []bool{false, true, true}, []bool{small("damaged"), small("full"), small("well")})
		damaged := 0
		for _, kind := range c.kinds() {
			if kind == event.LogDamaged {
				damaged++
			}
		}
		require.Equal(t, 1, damaged)
		c.nothingFailed()
	})
}
