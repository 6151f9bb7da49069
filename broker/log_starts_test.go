package broker

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

// Where a log starts is on the disk when its broker comes back, though no file of
// the log says so; a topic of the same name that is made later starts at 0.
func TestLogStartsAreRemembered(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 2)
		leader := c.leader("orders", 0)
		write := func(value string) {
			a, err := c.replica(leader, "orders", 0).Append(t.Context(), one(value), -1, time.Now())
			require.NoError(t, err)
			require.NoError(t, c.replica(leader, "orders", 0).AwaitCommitted(t.Context(), a))
		}
		write("a")
		require.NoError(t, c.replica(leader, "orders", 0).Log().SetLogStart(1))
		write("b")
		c.eventually("the follower has heard of it", func() bool {
			for _, b := range c.live() {
				if c.replica(b, "orders", 0).Log().LogStartOffset() != 1 {
					return false
				}
			}
			return true
		})
		time.Sleep(checkpointEvery + time.Second)
		n := c.brokers[leader.ID()]
		text, err := vfs.ReadFile(n.disk, logStartsFile)
		require.NoError(t, err)
		require.Equal(t, "0\n1\norders 0 1\n", string(text))
		c.kill(n)
		again := c.start(leader.ID())
		c.eventually("it hosts orders again", func() bool { return c.replica(again, "orders", 0) != nil })
		require.EqualValues(t, 1, c.replica(again, "orders", 0).Log().LogStartOffset())
	})
}

func TestAnEntryDoesNotOutliveItsLog(t *testing.T) {
	disk := vfs.NewMem(0)
	s, orders, cups := newLogStarts(disk), topicPartition{"orders", 0}, topicPartition{"cups", 3}
	on := func() string {
		text, err := vfs.ReadFile(disk, logStartsFile)
		require.NoError(t, err)
		return string(text)
	}
	var kept offsetCheckpoint
	write := func(starts offsetCheckpoint) {
		require.NoError(t, s.write(func() offsetCheckpoint { return starts }, func(c offsetCheckpoint) { kept = c }))
		require.Equal(t, starts, kept)
	}
	write(offsetCheckpoint{orders: 7, cups: 9})
	write(offsetCheckpoint{cups: 0})
	require.Equal(t, "0\n1\norders 0 7\n", on(), "of orders nothing was said: it may not be claimed yet")
	require.NoError(t, s.forget(orders))
	require.Equal(t, "0\n0\n", on())

	// What a power loss has cut off below its start goes on at the start.
	s.written = offsetCheckpoint{orders: 7}
	log, _, err := partition.Open(disk, "orders-0", partition.Config{})
	require.NoError(t, err)
	defer log.Close()
	require.NoError(t, s.restore(orders, log))
	require.EqualValues(t, 7, log.LogStartOffset())
	require.EqualValues(t, 7, log.LogEndOffset())
}

// Without its checkpoint a broker does not know what was deleted. It leaves the ISR
// as after a loss of power, and comes back with its leader's log start.
func TestALostCheckpointOfLogStartsIsNoProof(t *testing.T) {
	for name, spoil := range map[string]func(disk vfs.FS) error{
		"missing": func(disk vfs.FS) error { return disk.Remove(logStartsFile) },
		"torn":    func(disk vfs.FS) error { return vfs.WriteFileSynced(disk, logStartsFile, []byte("0\n1\norders 0")) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, nil, func(t *testing.T, c *cluster) {
				c.unfenced()
				c.createTopic("orders", 1, 2)
				leader := c.leader("orders", 0)
				r := c.replica(leader, "orders", 0)
				a, err := r.Append(t.Context(), batchOf([]string{"a", "b", "c"}), -1, time.Now())
				require.NoError(t, err)
				require.NoError(t, r.AwaitCommitted(t.Context(), a))
				d, err := r.DeleteRecords(t.Context(), 2)
				require.NoError(t, err)
				require.NoError(t, leader.replicas.Keep())
				low, err := r.AwaitLowWatermark(t.Context(), d)
				require.NoError(t, err)
				require.EqualValues(t, 2, low)
				id := 3 - leader.ID()
				n := c.brokers[id]
				c.kill(n)
				require.NoError(t, spoil(n.disk))
				c.fenced(id)
				again := c.start(id)
				c.unfenced()
				registered := slices.DeleteFunc(c.events.Newest(4096), func(e event.Event) bool {
					return e.Kind != event.BrokerRegistered || e.Data["broker"] != id
				})
				require.Equal(t, false, registered[1].Data["clean"])
				c.eventually("it is back in the ISR", func() bool {
					s := c.state(leader, "orders", 0)
					return len(s.ISR) == 2
				})
				require.EqualValues(t, 2, c.replica(again, "orders", 0).Log().LogStartOffset())
				require.EqualValues(t, 2, c.replica(again, "orders", 0).KeptStart())
			})
		})
	}
}

// A log that is dropped for one that starts earlier, and loses power at once: the
// checkpoint must not hide what it has fetched since.
func TestALowerLogStartIsOnTheDiskFirst(t *testing.T) {
	inBubble(t, 2, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 2)
		leader := c.leader("orders", 0)
		r := c.replica(leader, "orders", 0)
		a, err := r.Append(t.Context(), batchOf([]string{"a", "b", "c"}), -1, time.Now())
		require.NoError(t, err)
		require.NoError(t, r.AwaitCommitted(t.Context(), a))
		id := 3 - leader.ID()
		n := c.brokers[id]
		follower := c.replica(n.broker, "orders", 0)
		require.NoError(t, n.broker.replicas.Lower(follower, 9, func() error { return follower.Log().Reset(9) }))
		require.NoError(t, n.broker.replicas.Keep())
		entry := func() string {
			text, err := vfs.ReadFile(n.disk, logStartsFile)
			require.NoError(t, err)
			return string(text)
		}
		require.Contains(t, entry(), "orders 0 9")
		// The leader ends at 3: the follower cuts its log back to there.
		c.eventually("it follows again", func() bool { return follower.Log().LogEndOffset() == 3 })
		require.NotContains(t, entry(), "orders 0 9")
		a, err = r.Append(t.Context(), batchOf([]string{"d"}), -1, time.Now())
		require.NoError(t, err)
		require.NoError(t, r.AwaitCommitted(t.Context(), a))
		require.NoError(t, follower.Log().Sync())
		c.powerOff(n)
		again := c.start(id)
		c.eventually("it hosts orders again", func() bool { return c.replica(again, "orders", 0) != nil })
		log := c.replica(again, "orders", 0).Log()
		require.Equal(t, []int64{3, 4}, []int64{log.LogStartOffset(), log.LogEndOffset()})
	})
}
