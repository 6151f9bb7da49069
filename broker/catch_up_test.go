package broker

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// A broker that is further behind than the coordinator nodes remember takes the
// whole image, and goes on from there.
func TestFarBehindBrokerTakesASnapshot(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.snapshots = 16
		for id, n := range c.coordinators { // with the new setting
			c.kill(n)
			c.startCoordinator(id, id == 1)
		}
		c.unfenced()
		away := c.live()[2].ID()
		c.createTopic("first", 1, 3)
		c.kill(c.brokers[away])
		c.fenced(away)
		for i := range 40 {
			c.createTopic(fmt.Sprintf("topic-%d", i), 1, 2)
		}
		time.Sleep(5 * time.Second)         // a snapshot is taken
		for id, n := range c.coordinators { // and is all that they remember then
			c.kill(n)
			c.startCoordinator(id, id == 1)
		}
		var pieces atomic.Int32
		coordinators := []string{"coordinator-1", "coordinator-2", "coordinator-3"}
		c.net.Intercept([]string{event.BrokerNode(away)}, coordinators, 59, func(network.Message) network.Verdict {
			pieces.Add(1)
			return network.Verdict{}
		})
		c.start(away)
		c.unfenced()
		require.Positive(t, pieces.Load(), "FetchSnapshot")
		c.eventually("the ISR is full", func() bool { return c.settled("first", 3) })
		require.Len(t, c.brokers[away].broker.Image().Topics(), 41)
		c.createTopic("last", 1, 3)
		c.nothingFailed()
	})
}

// Every broker arrives at the same image, however it learned of it.
func TestBrokersAgreeOnTheImage(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 4, 3)
		c.kill(c.brokers[2])
		c.fenced(2)
		c.createTopic("returns", 2, 2)
		c.start(2)
		c.unfenced()
		c.eventually("every ISR is full", func() bool { return c.settled("orders", 12) && c.settled("returns", 4) })
		c.eventually("all have come equally far", func() bool {
			offset := c.live()[0].Image().Offset()
			return c.live()[1].Image().Offset() == offset && c.live()[2].Image().Offset() == offset
		})
		want := c.live()[0].Image().AppendTo(nil)
		for _, b := range c.live()[1:] {
			require.Equal(t, want, b.Image().AppendTo(nil))
		}
	})
}

// High watermarks are written every few seconds, and a replica starts from them.
func TestHighWatermarksSurviveACrash(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 1)
		b := c.brokers[1].broker
		c.write(b, "orders", 0, "one")
		c.write(b, "orders", 0, "two")
		time.Sleep(checkpointEvery + time.Second)
		text, err := vfs.ReadFile(c.brokers[1].disk, highWatermarksFile)
		require.NoError(t, err)
		require.Equal(t, "0\n1\norders 0 2\n", string(text))

		c.kill(c.brokers[1])
		// Above the end of the log: it counts as far as the log goes.
		forged := offsetCheckpoint{{"orders", 0}: 99}
		require.NoError(t, vfs.WriteFileSynced(c.brokers[1].disk, highWatermarksFile, forged.encode()))
		b = c.start(1)
		c.unfenced()
		require.Equal(t, int64(2), c.replica(b, "orders", 0).HighWatermark())
	})
}

// A checkpoint that makes no sense is only a hint that is missing.
func TestNonsenseInACheckpointIsIgnored(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 1)
		c.write(c.brokers[1].broker, "orders", 0, "one")
		c.kill(c.brokers[1])
		require.NoError(t, vfs.WriteFileSynced(c.brokers[1].disk, highWatermarksFile, []byte("garbage")))
		b := c.start(1)
		c.unfenced()
		c.eventually("it leads", func() bool { return c.leader("orders", 0) != nil })
		require.Equal(t, int64(1), c.replica(b, "orders", 0).HighWatermark())
	})
}

func TestStartRefusesTheDiskOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := network.New(1)
		defer net.Close()
		configs, err := metadata.NewBrokerConfig(nil)
		require.NoError(t, err)
		disk := vfs.NewMem(1)
		foreign := metaProperties{clusterID: "another", nodeID: 1, directory: newUUID()}
		require.NoError(t, vfs.WriteFileSynced(disk, metaPropertiesFile, foreign.encode()))
		l, err := net.Host("broker-1").Listen("broker-1:9090", true)
		require.NoError(t, err)
		_, err = Start(Config{ID: 1, ClusterID: "mine", FS: disk, Config: configs, Coordinators: []string{"coordinator-1:9090"},
			Dial: net.Host("broker-1").DialContext, Listeners: []Listener{{Name: metadata.InternalListener, Listener: l}}})
		require.ErrorIs(t, err, metadata.ErrInconsistentClusterID)
		_, err = net.Host("broker-1").Listen("broker-1:9090", true)
		require.NoError(t, err, "the listener was closed")
	})
}

// While the active coordinator is silent brokers find the next one in time: none
// is fenced.
func TestSilentCoordinatorFencesNobody(t *testing.T) {
	for _, how := range []string{"paused", "cut"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
				c.unfenced()
				time.Sleep(3 * time.Second)
				for id, n := range c.coordinators {
					if _, active := n.coordinator.Active(); !active {
						continue
					}
					if how == "paused" {
						n.gate.Pause()
						defer n.gate.Resume()
					} else {
						everybody := []string{"broker-1", "broker-2", "broker-3", "coordinator-1", "coordinator-2", "coordinator-3"}
						others := everybody[:0]
						for _, name := range everybody {
							if name != event.CoordinatorNode(id) {
								others = append(others, name)
							}
						}
						c.net.Cut([]string{event.CoordinatorNode(id)}, others)
					}
				}
				time.Sleep(10 * time.Second)
				require.NotContains(t, c.kinds(), event.SessionExpired)
				require.NotContains(t, c.kinds(), event.BrokerFenced)
				c.createTopic("orders", 3, 3)
			})
		})
	}
}

// Two processes under one id: the second one keeps asking, and gives up.
func TestDuplicateBrokerGivesUp(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		second := c.place("broker-9", 99)
		first := c.brokers[1]
		c.brokers[1] = second
		c.start(1) // from another machine
		require.ErrorIs(t, c.failure(), metadata.ErrDuplicateBrokerRegistration)
		me, _ := first.broker.Image().Broker(1)
		require.Equal(t, first.broker.Epoch(), me.Epoch)
		require.False(t, me.Fenced)
		c.kill(second)
		c.brokers[1] = first
	})
}

// Starting takes no timer's help: registration, unfencing, a topic and a leader
// within a few milliseconds.
func TestStartIsImmediate(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		began := time.Now()
		c.unfenced()
		c.createTopic("orders", 3, 3)
		require.Less(t, time.Since(began), 100*time.Millisecond)
	})
}
