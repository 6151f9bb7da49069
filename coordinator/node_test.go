package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// bubble runs a story about a quorum in virtual time.
func bubble(t *testing.T, nodes int32, story func(t *testing.T, r *rig), kv ...string) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nodes, kv...)
		defer r.close()
		story(t, r)
	})
}

func (r *rig) startAll() {
	var ids []int32
	for id := int32(1); id <= r.size; id++ {
		ids = append(ids, id)
	}
	r.start(ids...)
}

// orders is a request to make that topic.
func orders(partitions int32, rf int16) *kmsg.CreateTopicsRequest {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = "orders", partitions, rf
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.Topics = 7, []kmsg.CreateTopicsRequestTopic{t}
	return req
}

func (b *played) create(req *kmsg.CreateTopicsRequest) {
	b.r.t.Helper()
	for _, t := range b.admin(req).(*kmsg.CreateTopicsResponse).Topics {
		require.NoError(b.r.t, wire.Err(t.ErrorCode))
	}
}

func TestFirstActiveAtOnce(t *testing.T) {
	for _, size := range []int32{1, 3, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, size, func(t *testing.T, r *rig) {
				begin := time.Now()
				r.startAll()
				r.active()
				require.Less(t, time.Since(begin), 10*time.Millisecond)
				synctest.Wait()
				require.Len(t, r.happened(event.CoordinatorActive), 1)
			})
		})
	}
}

func TestNodesThatComeOneAfterTheOther(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.start(1)
		time.Sleep(3 * time.Second)
		_, ok := r.nodes[1].Active()
		require.False(t, ok, "one of three is no majority")
		r.start(2)
		r.active()
		r.start(3)
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced && b.registered().Epoch > 0 })
	})
}

func TestBrokersRegisterAndTopicsAreMade(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b1, b2 := r.broker(1), r.broker(2)
		begin := time.Now()
		r.eventually(func() bool { return !b1.registered().Fenced && !b2.registered().Fenced })
		require.Less(t, time.Since(begin), 500*time.Millisecond)
		require.NotEqual(t, b1.epoch.Load(), b2.epoch.Load())

		b1.create(orders(3, 2))
		r.eventually(func() bool { return b2.image.Load().TopicByName("orders") != nil })
		topic := b2.image.Load().TopicByName("orders")
		require.Len(t, topic.Partitions, 3)
		for _, p := range topic.Partitions {
			require.Len(t, p.ISR, 2)
		}
		// Every node comes to the same state.
		time.Sleep(3 * time.Second)
		r.requireOneHistory()
	})
}

// requireOneHistory: what nodes hold at one offset is the same, byte by byte (R3, I15).
func (r *rig) requireOneHistory() {
	r.t.Helper()
	seen := map[int64]string{}
	images := map[int64]string{}
	for _, n := range r.nodes {
		n.history.mu.Lock()
		for _, e := range n.history.entries {
			if old, ok := seen[e.offset]; ok {
				require.Equal(r.t, old, string(e.batch), "at metadata offset %d", e.offset)
			}
			seen[e.offset] = string(e.batch)
		}
		im := n.history.image
		n.history.mu.Unlock()
		bytes := string(im.AppendTo(nil))
		if old, ok := images[im.Offset()]; ok {
			require.Equal(r.t, old, bytes, "at metadata offset %d", im.Offset())
		}
		images[im.Offset()] = bytes
	}
}

// requireLevel: every node gets to the same image.
func (r *rig) requireLevel() {
	r.t.Helper()
	want := r.active().Image().Offset()
	r.eventually(func() bool {
		for _, n := range r.nodes {
			if n.Image().Offset() < want {
				return false
			}
		}
		return true
	})
	r.requireOneHistory()
}

// A registration that is asked for again by the same process changes nothing.
func TestRegistrationIsIdempotent(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		again := b.register(-1)
		require.NoError(t, wire.Err(again.ErrorCode))
		require.Equal(t, b.epoch.Load(), again.BrokerEpoch)
		require.False(t, b.registered().Fenced)

		req := b.registration(-1)
		req.ClusterID = "another"
		resp := b.session.do(b.ctx, req).(*kmsg.BrokerRegistrationResponse)
		require.ErrorIs(t, wire.Err(resp.ErrorCode), metadata.ErrInconsistentClusterID)
	})
}

// I14: another process cannot take the id of a broker that lives.
func TestDuplicateBrokerIsRefused(t *testing.T) {
	bubble(t, 1, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		req := b.registration(-1)
		req.IncarnationID = metadata.UUID{99}
		req.Listeners[0].Port = 9999
		other := r.clients(r.net.Host("broker-9"))
		defer other.close()
		resp := other.do(b.ctx, req).(*kmsg.BrokerRegistrationResponse)
		require.ErrorIs(t, wire.Err(resp.ErrorCode), metadata.ErrDuplicateBrokerRegistration)
		require.Equal(t, b.epoch.Load(), b.registered().Epoch)

		old := b.heartbeat()
		old.BrokerEpoch--
		hb := b.session.do(b.ctx, old).(*kmsg.BrokerHeartbeatResponse)
		require.ErrorIs(t, wire.Err(hb.ErrorCode), metadata.ErrStaleBrokerEpoch)
		old.BrokerID = 7
		hb = b.session.do(b.ctx, old).(*kmsg.BrokerHeartbeatResponse)
		require.ErrorIs(t, wire.Err(hb.ErrorCode), metadata.ErrBrokerIDNotRegistered)
	})
}

// A disk that breaks takes its node down, and nothing else (trap 3 of Raft).
func TestBrokenDiskCrashesTheNodeAlone(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		for _, victim := range []int32{r.active().cfg.ID, r.active().cfg.ID%3 + 1} {
			n := r.nodes[victim]
			r.faults[victim].Full()
			b.create(func() *kmsg.CreateTopicsRequest {
				req := orders(1, 1)
				req.Topics[0].Topic = fmt.Sprintf("topic-%d", victim)
				return req
			}())
			err := <-r.failed
			require.ErrorContains(t, err, "disk")
			require.False(t, errors.Is(err, fs.ErrNotExist))
			require.Equal(t, err, n.Close())
			r.kill(victim)
			r.start(victim)
			time.Sleep(2 * time.Second)
		}
		r.requireLevel()
	})
}

// Close joins everything at once, whatever the node is in the middle of.
func TestCloseWhilePausedOrCut(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		old := r.active()
		r.gates[old.cfg.ID].Pause()
		time.Sleep(700 * time.Millisecond)
		begin := time.Now()
		require.NoError(t, old.Close())
		require.Less(t, time.Since(begin), time.Second)

		next := r.activeBut(old.cfg.ID)
		r.net.Cut([]string{next.name}, []string{event.CoordinatorNode(1), event.CoordinatorNode(2), event.CoordinatorNode(3), "broker-1"})
		go next.propose(next.active.Load().ctx, state.BeginShutdown{ID: 1, Epoch: b.epoch.Load()})
		time.Sleep(100 * time.Millisecond)
		begin = time.Now()
		require.NoError(t, next.Close())
		require.Less(t, time.Since(begin), time.Second)
	})
}

// A first start that ended between the term and the first entry, on every node.
func TestBootstrapCutOffIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		for _, disk := range r.disks {
			s := mustOpenStore(t, disk)
			require.NoError(t, s.SetUint64([]byte("CurrentTerm"), 1))
			require.NoError(t, s.Close())
		}
		r.start(1, 2, 3)
		defer r.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.nodes[1].WaitActive(ctx)
		require.NoError(t, err)
	})
}
