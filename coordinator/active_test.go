package coordinator

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/wire"
)

// unfenced starts brokers and waits until they may lead.
func (r *rig) unfenced(ids ...int32) []*played {
	r.t.Helper()
	var bs []*played
	for _, id := range ids {
		bs = append(bs, r.broker(id))
	}
	for _, b := range bs {
		r.eventually(func() bool { return b.registered().Epoch == b.epoch.Load() && !b.registered().Fenced })
	}
	return bs
}

// fencedAt is when the broker's newest fencing happened.
func (r *rig) fencedAt(id int32) (at time.Time, reason string) {
	r.t.Helper()
	r.eventually(func() bool {
		for _, e := range r.happened(event.BrokerFenced) {
			if e.Data["broker"] == id {
				at, reason = e.Time, e.Data["reason"].(string)
			}
		}
		return !at.IsZero()
	})
	return at, reason
}

func TestDeathIsToldByRefusalWithinMilliseconds(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2, 3)
		bs[1].create(orders(6, 3))
		time.Sleep(time.Second)
		killed := time.Now()
		r.events.Emit(event.Event{Kind: event.BrokerKilled, Node: "broker-1", Part: -1, Key: event.ProcessKey("broker-1")})
		bs[0].kill()
		at, reason := r.fencedAt(1)
		require.Less(t, at.Sub(killed), 5*time.Millisecond)
		require.Equal(t, "its process is gone", reason)
		require.Empty(t, r.happened(event.SessionExpired))
		r.requireCauses(event.LeaderElected, event.BrokerFenced, event.BrokerGone, event.BrokerKilled)
		for _, p := range r.active().Image().TopicByName("orders").Partitions {
			require.NotContains(t, p.ISR, int32(1))
			require.NotEqual(t, int32(1), p.Leader)
		}
	})
}

// requireCauses follows the newest event of the first kind back through its causes.
func (r *rig) requireCauses(kinds ...event.Kind) {
	r.t.Helper()
	bySeq := map[uint64]event.Event{}
	for _, k := range kinds {
		for _, e := range r.happened(k) {
			bySeq[e.Seq] = e
		}
	}
	found := r.happened(kinds[0])
	require.NotEmpty(r.t, found)
	e := found[len(found)-1]
	for _, want := range kinds {
		require.Equal(r.t, want, e.Kind)
		e = bySeq[e.Cause]
	}
}

func TestSilenceIsToldAfterExactlyOneSession(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2)
		bs[1].create(orders(2, 2))
		time.Sleep(time.Second)
		a := r.active().active.Load()
		a.mu.Lock()
		last := a.sessions.live[1].since
		a.mu.Unlock()
		bs[0].powerOff()
		at, _ := r.fencedAt(1)
		require.Equal(t, time.Second, at.Sub(last))
		require.Empty(t, r.happened(event.BrokerGone))
		r.requireCauses(event.LeaderElected, event.BrokerFenced, event.SessionExpired)
	})
}

func TestClosedConnectionOfALiveBrokerFencesNobody(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1)[0]
		for range 5 {
			for _, n := range r.nodes {
				for _, c := range n.server.Conns() {
					c.Close()
				}
			}
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		require.False(t, b.registered().Fenced)
		require.Empty(t, r.happened(event.BrokerFenced))
	})
}

func TestPausedBrokerIsFencedAndComesBack(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1)[0]
		b.gate.Pause()
		_, reason := r.fencedAt(1)
		require.Contains(t, reason, "silent")
		epoch := b.registered().Epoch
		b.gate.Resume()
		r.eventually(func() bool { return !b.registered().Fenced })
		require.Equal(t, epoch, b.registered().Epoch, "the same process keeps its epoch")
	})
}

// A broker that dies and is started again at once need not wait for its old session.
func TestQuickRestartIsAdmittedAtOnce(t *testing.T) {
	for name, end := range map[string]func(*played){"kill": (*played).kill, "power": (*played).powerOff} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, func(t *testing.T, r *rig) {
				r.startAll()
				old := r.unfenced(1)[0]
				time.Sleep(time.Second)
				begin := time.Now()
				end(old)
				b := r.processOf(1)
				r.eventually(func() bool {
					resp := b.register(old.epoch.Load())
					return wire.Err(resp.ErrorCode) == nil
				})
				require.Less(t, time.Since(begin), 100*time.Millisecond)
				require.Greater(t, b.registered().Epoch, old.epoch.Load())
			})
		})
	}
}

// A Fence of an older incarnation that comes late does nothing.
func TestLateFenceDoesNothing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		old := r.unfenced(1)[0]
		old.kill()
		r.fencedAt(1)
		b := r.unfenced(1)[0]
		require.Greater(t, b.epoch.Load(), old.epoch.Load())
		result, _ := r.active().propose(b.ctx, state.FenceBroker{ID: 1, Epoch: old.epoch.Load(), Reason: "late"})
		require.Empty(t, result.Deltas)
		require.False(t, b.registered().Fenced)
	})
}

// A broker that heartbeats but does not follow the metadata counts as silent.
func TestBrokerThatDoesNotFollowIsFenced(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2)
		bs[0].lazy.Store(true)
		time.Sleep(5 * time.Second)
		require.False(t, bs[0].registered().Fenced, "there was nothing to follow")
		begin := time.Now()
		bs[1].create(orders(1, 1))
		at, _ := r.fencedAt(1)
		require.Greater(t, at.Sub(begin), time.Second)
		require.LessOrEqual(t, at.Sub(begin), 2*time.Second+300*time.Millisecond)
		bs[0].lazy.Store(false)
		r.eventually(func() bool { return !bs[0].registered().Fenced })
		require.False(t, bs[1].registered().Fenced)
	})
}

func TestControlledShutdown(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2, 3)
		bs[1].create(orders(6, 3))
		bs[2].lazy.Store(true)
		bs[0].leaving.Store(true)
		r.eventually(func() bool { return bs[0].registered().ShuttingDown })
		r.eventually(func() bool { return !leadsAny(r.active().Image(), 1) })
		time.Sleep(500 * time.Millisecond)
		require.False(t, bs[0].answer.Load().ShouldShutdown, "broker 3 does not know yet")
		bs[2].lazy.Store(false)
		r.eventually(func() bool { return bs[0].answer.Load().ShouldShutdown })
		for _, p := range r.active().Image().TopicByName("orders").Partitions {
			require.NotContains(t, p.ISR, int32(1))
		}
		bs[0].kill()
		time.Sleep(3 * time.Second)
		require.Empty(t, r.happened(event.BrokerGone))
		require.Empty(t, r.happened(event.SessionExpired))
	})
}

// The active node sleeps through many sessions; what it finds on waking is not the brokers' silence.
func TestPausedCoordinatorBlamesNobody(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.unfenced(1)[0]
		for range 5 {
			r.gates[1].Pause()
			time.Sleep(3*time.Second + 70*time.Millisecond)
			r.gates[1].Resume()
			time.Sleep(2 * time.Second)
		}
		require.False(t, b.registered().Fenced)
		require.Empty(t, r.happened(event.BrokerFenced))
	})
}

// Ten thousand partitions of a dead broker are one entry.
func TestManyPartitionsAreOneEntry(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2)
		for i := range 10 {
			req := orders(1000, 2)
			req.Topics[0].Topic = fmt.Sprintf("topic-%d", i)
			bs[1].create(req)
		}
		time.Sleep(time.Second)
		n := r.active()
		before, _ := n.store.LastIndex()
		bs[0].kill()
		r.eventually(func() bool { return bs[0].registered().Fenced })
		after, _ := n.store.LastIndex()
		require.Equal(t, before+1, after)
		for _, topic := range n.Image().Topics() {
			for _, p := range topic.Partitions {
				require.EqualValues(t, 2, p.Leader)
			}
		}
	})
}

func TestPreferredLeadersComeBackByThemselves(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		bs := r.unfenced(1, 2)
		bs[1].create(orders(4, 2))
		bs[0].kill()
		r.fencedAt(1)
		b := r.unfenced(1)[0]
		im := r.active().Image()
		alter := kmsg.NewPtrAlterPartitionRequest()
		alter.Version, alter.BrokerID, alter.BrokerEpoch = 3, 2, bs[1].epoch.Load()
		topic := kmsg.NewAlterPartitionRequestTopic()
		topic.TopicID = im.TopicByName("orders").ID
		for i, p := range im.TopicByName("orders").Partitions {
			x := kmsg.NewAlterPartitionRequestTopicPartition()
			x.Partition, x.LeaderEpoch, x.PartitionEpoch = int32(i), p.LeaderEpoch, p.PartitionEpoch
			for _, b := range []*played{bs[1], b} {
				m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
				m.BrokerID, m.BrokerEpoch = b.id, b.epoch.Load()
				x.NewEpochISR = append(x.NewEpochISR, m)
			}
			topic.Partitions = append(topic.Partitions, x)
		}
		alter.Topics = []kmsg.AlterPartitionRequestTopic{topic}
		resp := bs[1].others.do(b.ctx, alter).(*kmsg.AlterPartitionResponse)
		require.Zero(t, resp.ErrorCode)
		for i, p := range resp.Topics[0].Partitions {
			require.Zero(t, p.ErrorCode)
			require.Greater(t, p.PartitionEpoch, im.TopicByName("orders").Partitions[i].PartitionEpoch)
			require.ElementsMatch(t, []int32{1, 2}, p.ISR)
		}
		synctest.Wait()
		require.True(t, !leadsAny(r.active().Image(), 1))
		r.eventually(func() bool { return leadsAny(r.active().Image(), 1) })
		for _, p := range r.active().Image().TopicByName("orders").Partitions {
			require.Equal(t, p.Replicas[0], p.Leader)
		}
	}, "leader.imbalance.check.interval.seconds", "10")
}
