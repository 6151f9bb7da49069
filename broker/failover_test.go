package broker

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// oneRecord is a batch of one record, as a client sends it.
func oneRecord(value string) []byte {
	record := kmsg.Record{Value: []byte(value)}
	record.Length = int32(len(record.AppendTo(nil)) - 1) // less its own varint, one byte for a short record
	b := kmsg.RecordBatch{
		Magic: 2, PartitionLeaderEpoch: -1, FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli(),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: record.AppendTo(nil),
	}
	bytes := b.AppendTo(nil)
	binary.BigEndian.PutUint32(bytes[8:], uint32(len(bytes)-12))
	binary.BigEndian.PutUint32(bytes[17:], crc32.Checksum(bytes[21:], crc32.MakeTable(crc32.Castagnoli)))
	return bytes
}

// write appends a record with acks=all and waits until it is committed.
func (c *cluster) write(b *Broker, topic string, partition int32, value string) replication.Appended {
	c.t.Helper()
	r := c.replica(b, topic, partition)
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	at, err := r.Append(ctx, oneRecord(value), -1, time.Now())
	require.NoError(c.t, err)
	require.NoError(c.t, r.AwaitCommitted(ctx, at))
	return at
}

// The whole journey: a leader's process dies, another replica takes over, and
// the dead one returns and rejoins.
func TestKilledLeaderIsReplacedAndRejoins(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 3, 3)
		dead := c.leader("orders", 0)
		require.NotNil(t, dead)
		c.write(dead, "orders", 0, "before")
		before := c.state(dead, "orders", 0)
		epoch := dead.Epoch()

		killed := time.Now()
		c.kill(c.brokers[dead.ID()])
		var leader *Broker
		c.eventually("another replica leads", func() bool {
			leader = c.leader("orders", 0)
			return leader != nil
		})
		took := time.Since(killed)
		require.Less(t, took, 100*time.Millisecond, "a refused connection is known at once")
		after := c.state(leader, "orders", 0)
		require.Equal(t, before.LeaderEpoch+1, after.LeaderEpoch)
		require.NotContains(t, after.ISR, dead.ID())
		at := c.write(leader, "orders", 0, "after")
		require.Equal(t, int64(1), at.BaseOffset)

		back := c.start(dead.ID())
		c.unfenced()
		require.Greater(t, back.Epoch(), epoch)
		c.eventually("every ISR is full", func() bool { return c.settled("orders", 9) })
		r := c.replica(back, "orders", 0)
		require.Equal(t, int64(2), r.Log().LogEndOffset())
		require.Equal(t, int64(2), c.replica(leader, "orders", 0).HighWatermark())
		c.eventually("the high watermark arrives too", func() bool { return r.HighWatermark() == 2 })
		require.Contains(t, c.kinds(), event.BrokerGone)
		require.Contains(t, c.kinds(), event.LogRecovered)
		c.nothingFailed()
	})
}

// A process crash is a clean restart, a power loss is not (KIP-966): the
// second costs the broker its place in the ISR and in the ELR.
func TestWhatARestartMeans(t *testing.T) {
	for _, power := range []bool{false, true} {
		name := map[bool]string{false: "killed", true: "power lost"}[power]
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
				c.unfenced()
				c.createTopic("orders", 1, 1)
				b := c.leader("orders", 0)
				c.write(b, "orders", 0, "one")
				if power {
					c.powerOff(c.brokers[1])
				} else {
					c.kill(c.brokers[1])
				}
				time.Sleep(5 * time.Second)
				b = c.start(1)
				c.unfenced()
				c.eventually("it leads again", func() bool { return c.leader("orders", 0) != nil })
				unclean := false
				for _, e := range c.events.Newest(4096) {
					if e.Kind == event.LeaderElected && e.Data["unclean"] == true {
						unclean = true
					}
				}
				require.Equal(t, power, unclean, "the last replica, having lost power, can only be elected uncleanly")
				if !power {
					require.Equal(t, int64(1), c.replica(b, "orders", 0).Log().LogEndOffset())
				}
			})
		})
	}
}

// Stop is clean: the whole cluster may lose power afterwards and has lost nothing.
func TestStoppedClusterSurvivesPowerLoss(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 3, 3)
		for p := range int32(3) {
			c.write(c.leader("orders", p), "orders", p, "kept")
		}
		for _, n := range c.coordinators {
			c.kill(n)
		}
		for _, n := range c.brokers {
			require.NoError(t, n.broker.Stop())
			c.powerOff(n)
		}
		for id := range c.coordinators {
			c.startCoordinator(id, id == 1)
		}
		stopped := c.events.Last()
		for id := range c.brokers {
			c.start(id)
		}
		c.unfenced()
		c.eventually("every ISR is full", func() bool { return c.settled("orders", 9) })
		for p := range int32(3) {
			r := c.replica(c.leader("orders", p), "orders", p)
			require.Equal(t, int64(1), r.Log().LogEndOffset())
			c.eventually("the record is committed", func() bool { return r.HighWatermark() == 1 })
		}
		for _, e := range c.events.Newest(4096) {
			require.NotEqual(t, true, e.Data["unclean"], "%v", e)
			if e.Kind == event.BrokerRegistered && e.Seq > stopped {
				require.Equal(t, true, e.Data["clean"], "%v", e)
			}
		}
	})
}

// KIP-841: a broker that shuts down hands its leaderships over first.
func TestShutdownHandsLeadershipsOver(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 6, 3)
		leaving := c.leader("orders", 0)
		began := time.Now()
		require.NoError(t, leaving.Shutdown(t.Context()))
		require.Less(t, time.Since(began), 500*time.Millisecond)
		for _, b := range c.live() {
			if b == leaving {
				continue
			}
			for p := range int32(6) {
				state := c.state(b, "orders", p)
				require.NotEqual(t, leaving.ID(), state.Leader)
				require.NotEqual(t, metadata.NoLeader, state.Leader)
			}
		}
		c.kill(c.brokers[leaving.ID()])
		c.start(leaving.ID())
		c.eventually("every ISR is full", func() bool { return c.settled("orders", 18) })
	})
}

func TestShutdownWithoutCoordinatorIsCleanAllTheSame(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		for _, n := range c.coordinators {
			c.kill(n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.brokers[1].broker.Shutdown(ctx), context.DeadlineExceeded)
		names, err := c.brokers[1].disk.List(".")
		require.NoError(t, err)
		require.Contains(t, names, cleanShutdownFile)
	})
}

// The data path goes on without an active coordinator, and ISRs change again
// once there is one.
func TestCoordinatorFailover(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 3)
		leader := c.leader("orders", 0)
		for id, n := range c.coordinators {
			if _, active := n.coordinator.Active(); active {
				c.kill(c.coordinators[id])
			}
		}
		c.write(leader, "orders", 0, "without a coordinator")

		slow := c.state(leader, "orders", 0).Replicas[2]
		if slow == leader.ID() {
			slow = c.state(leader, "orders", 0).Replicas[1]
		}
		heal := c.net.Cut([]string{event.BrokerNode(slow)}, []string{event.BrokerNode(leader.ID())})
		c.replica(leader, "orders", 0).Append(t.Context(), oneRecord("not for all"), 1, time.Now())
		c.eventually("the ISR shrinks", func() bool { return !slices.Contains(c.state(leader, "orders", 0).ISR, slow) })
		heal()
		c.eventually("the ISR grows", func() bool { return c.settled("orders", 3) })
		for _, b := range c.live() {
			me, _ := b.Image().Broker(b.ID())
			require.False(t, me.Fenced)
		}
		require.NotContains(t, c.kinds(), event.SessionExpired)
		require.NotContains(t, c.kinds(), event.BrokerFenced)
		c.nothingFailed()
	})
}

// S27: a paused broker is fenced by its silence, wakes up believing it leads,
// learns better and rejoins under the same registration.
func TestPausedBrokerIsFencedAndReturns(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 3)
		paused := c.leader("orders", 0)
		c.brokers[paused.ID()].gate.Pause()
		var other *Broker
		for _, b := range c.live() {
			if b != paused {
				other = b
			}
		}
		c.eventually("somebody else leads", func() bool {
			p := c.state(other, "orders", 0)
			return p.Leader != paused.ID() && p.Leader != metadata.NoLeader
		})
		require.Contains(t, c.kinds(), event.SessionExpired)
		time.Sleep(10 * time.Second)
		c.brokers[paused.ID()].gate.Resume()
		c.unfenced()
		c.eventually("every ISR is full", func() bool { return c.settled("orders", 3) })
		c.nothingFailed()
	})
}

// S33: a topic was deleted and made again while a broker was away. What lies in
// the directory of that name is not the new topic's.
func TestStaleLogOfADeletedTopicIsRemoved(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 3)
		c.write(c.leader("orders", 0), "orders", 0, "old")
		away := c.live()[2].ID()
		c.kill(c.brokers[away])
		c.fenced(away)
		c.deleteTopic("orders")
		c.start(away)
		c.unfenced()
		c.createTopic("orders", 1, 3)
		require.Equal(t, int64(0), c.replica(c.brokers[away].broker, "orders", 0).Log().LogEndOffset())
		at := c.write(c.leader("orders", 0), "orders", 0, "new")
		require.Zero(t, at.BaseOffset)

		c.kill(c.brokers[away])
		c.deleteTopic("orders")
		c.createTopicOn("orders", []int32{c.live()[0].ID(), away})
		c.start(away)
		c.unfenced()
		c.eventually("the ISR is full", func() bool { return c.settled("orders", 2) })
		require.Equal(t, int64(0), c.replica(c.brokers[away].broker, "orders", 0).Log().LogEndOffset())
	})
}

func TestDeletedTopicLeavesTheDisk(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 2, 1)
		c.deleteTopic("orders")
		c.eventually("the directories are gone", func() bool {
			names, err := c.brokers[1].disk.List(".")
			require.NoError(t, err)
			return !slices.Contains(names, "orders-0/") && !slices.Contains(names, "orders-1/")
		})
		c.createTopic("orders", 2, 1)
		c.nothingFailed()
	})
}

func (c *cluster) deleteTopic(name string) {
	c.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	resp, err := c.live()[0].forward(c.t.Context(), req)
	require.NoError(c.t, err)
	require.Zero(c.t, resp.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode)
	c.eventually("the topic is gone", func() bool {
		for _, b := range c.live() {
			if b.Image().TopicByName(name) != nil {
				return false
			}
		}
		return true
	})
}

// createTopicOn makes a topic of one partition on these brokers, which need not all run.
func (c *cluster) createTopicOn(name string, replicas []int32) {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	assignment := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	assignment.Replicas = replicas
	topic.ReplicaAssignment = append(topic.ReplicaAssignment, assignment)
	req.Topics = append(req.Topics, topic)
	resp, err := c.live()[0].forward(c.t.Context(), req)
	require.NoError(c.t, err)
	answer := resp.(*kmsg.CreateTopicsResponse).Topics[0]
	require.Zero(c.t, answer.ErrorCode, answer.ErrorMessage)
}

// A disk that fails takes the broker down, and says so once.
func TestFailedDiskTakesTheBrokerDown(t *testing.T) {
	inBubble(t, 3, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		c.createTopic("orders", 1, 3)
		leader := c.leader("orders", 0)
		broken := c.brokers[leader.ID()]
		broken.faults.Full()
		_, err := c.replica(leader, "orders", 0).Append(t.Context(), oneRecord("lost"), -1, time.Now())
		require.Error(t, err)
		require.ErrorContains(t, c.failure(), "orders-0")
		c.kill(broken)
		c.eventually("another replica leads", func() bool { return c.leader("orders", 0) != nil })
		require.Empty(t, c.failures)
	})
}

// A coordinator quorum that has lost its log is not the one that this broker
// knows: following it would delete everything.
func TestMetadataThatGoesBackwardsIsRefused(t *testing.T) {
	inBubble(t, 1, nil, func(t *testing.T, c *cluster) {
		c.unfenced()
		for i := range 4 {
			c.createTopic(string(rune('a'+i)), 1, 1)
		}
		for _, n := range c.coordinators {
			c.kill(n)
			n.disk.Wipe()
		}
		for id := range c.coordinators {
			c.startCoordinator(id, id == 1)
		}
		require.ErrorIs(t, c.failure(), metadata.ErrInconsistentClusterID)
		require.NotNil(t, c.brokers[1].broker.Image().TopicByName("a"))

		c.kill(c.brokers[1])
		c.start(1)
		require.ErrorIs(t, c.failure(), metadata.ErrInconsistentClusterID, "nor after a restart")
		names, err := c.brokers[1].disk.List(".")
		require.NoError(t, err)
		require.Contains(t, names, "a-0/")
	})
}
