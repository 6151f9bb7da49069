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
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A failover of the active node, however it comes about, fences no broker.
func TestFailoverKeepsSessionsWhole(t *testing.T) {
	for name, end := range map[string]func(r *rig, id int32) (undo func()){
		"kill":  func(r *rig, id int32) func() { r.kill(id); return func() { r.start(id) } },
		"power": func(r *rig, id int32) func() { r.powerOff(id); return func() { r.start(id) } },
		"pause": func(r *rig, id int32) func() { r.gates[id].Pause(); return func() { r.gates[id].Resume() } },
		"cut": func(r *rig, id int32) func() {
			var others []string
			for other := range r.nodes {
				if other != id {
					others = append(others, event.CoordinatorNode(other))
				}
			}
			return r.net.Cut([]string{event.CoordinatorNode(id)}, others)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, r *rig) {
				r.startAll()
				bs := []*played{r.broker(1), r.broker(2), r.broker(3)}
				for _, b := range bs {
					r.eventually(func() bool { return !b.registered().Fenced })
				}
				bs[0].create(orders(6, 3))
				for range 3 {
					old := r.active().cfg.ID
					begin := time.Now()
					undo := end(r, old)
					r.activeBut(old)
					t.Logf("coordinator %d is replaced after %v", old, time.Since(begin))
					require.Less(t, time.Since(begin), 5*time.Second)
					time.Sleep(5 * time.Second)
					undo()
					time.Sleep(5 * time.Second)
				}
				require.Empty(t, r.happened(event.BrokerFenced))
				require.Empty(t, r.happened(event.SessionExpired))
				r.requireLevel()
			})
		})
	}
}

// Any minority may crash, again and again, while topics are made; nothing that was
// answered disappears.
func TestAnyMinorityMayCrash(t *testing.T) {
	bubble(t, 5, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		made := 0
		for round := range int32(5) {
			x, y := 1+round, 1+(round+2)%5
			r.kill(x)
			r.powerOff(y)
			req := orders(1, 1)
			req.Topics[0].Topic = fmt.Sprintf("topic-%d", round)
			begin := time.Now()
			b.create(req)
			t.Logf("round %d: made after %v", round, time.Since(begin))
			made++
			r.start(x, y)
			require.Len(t, r.active().Image().Topics(), made)
		}
		r.requireLevel()
	})
}

func TestRestartOfAllKeepsEverything(t *testing.T) {
	for name, down := range map[string]func(r *rig, id int32){"kill": (*rig).kill, "power": (*rig).powerOff} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, func(t *testing.T, r *rig) {
				r.every = 8
				r.startAll()
				b := r.broker(1)
				r.eventually(func() bool { return !b.registered().Fenced })
				for i := range 20 {
					req := orders(2, 1)
					req.Topics[0].Topic = fmt.Sprintf("topic-%d", i)
					b.create(req)
				}
				before := r.active().Image()
				b.stop()
				for id := int32(1); id <= 3; id++ {
					down(r, id)
				}
				begin := time.Now()
				r.startAll()
				after := r.active().Image()
				require.Less(t, time.Since(begin), 10*time.Millisecond)
				require.Len(t, after.Topics(), 20)
				for i, topic := range before.Topics() {
					require.Equal(t, topic.ID, after.Topics()[i].ID)
				}
				r.requireLevel()
			})
		})
	}
}

// Snapshots feed a node that lost its disk (InstallSnapshot, S51) and a broker that is
// far behind (FetchSnapshot); Restore replaces everything while entries go on (S50).
func TestS50S51SnapshotsFeedNodesAndBrokers(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.every = 64
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		victim := r.activeBut(0).cfg.ID%3 + 1 // not the active one
		r.kill(victim)
		make := func(from, to int) {
			for i := from; i < to; i++ {
				req := orders(1, 1)
				req.Topics[0].Topic = fmt.Sprintf("topic-%d", i)
				b.create(req)
				time.Sleep(10 * time.Millisecond)
			}
		}
		make(0, 400)
		first, _ := r.active().store.FirstIndex()
		require.Greater(t, first, uint64(1), "the log was compacted")
		r.disks[victim].Wipe()
		r.start(victim)
		make(400, 420)
		r.requireLevel()
		require.Len(t, r.nodes[victim].Image().Topics(), 420)
		require.NotZero(t, r.nodes[victim].store.(*store).snaps.newest())

		// The fresh node's history begins at its snapshot: a broker that comes to it
		// from the beginning needs the whole image.
		far := r.processOf(2)
		c := r.clients(far.host)
		defer c.close()
		c.at.Store(victim - 1)
		resp, err := c.ask(far.ctx, metadataFetch(1, 0))
		require.NoError(t, err)
		p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		require.Empty(t, p.RecordBatches)
		far.fetchSnapshot(c, p.SnapshotID.EndOffset, p.SnapshotID.Epoch)
		require.EqualValues(t, 1, far.snapshots.Load())
		require.Equal(t, r.nodes[victim].Image().AppendTo(nil), far.image.Load().AppendTo(nil))
	})
}

// S25: the active node dies while a command is between append and commit, or
// between commit and answer. The command takes effect once or not at all, and asking
// again is safe.
func TestS25ControllerFailoverMidAlter(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		for round := range 6 {
			old := r.active()
			req := kmsg.NewPtrAllocateProducerIDsRequest()
			req.BrokerID, req.BrokerEpoch = b.id, b.epoch.Load()
			before := old.Image().NextProducerID()
			done := make(chan *kmsg.AllocateProducerIDsResponse, 1)
			go func() { done <- b.others.do(b.ctx, req).(*kmsg.AllocateProducerIDsResponse) }()
			if round%2 == 0 {
				synctest.Wait() // it is committed, and perhaps answered
			}
			r.kill(old.cfg.ID)
			resp := <-done
			require.NoError(t, wire.Err(resp.ErrorCode))
			taken := (r.active().Image().NextProducerID() - before) / producerIDBlock
			require.Contains(t, []int64{1, 2}, taken, "once, or once for nobody and once more")
			require.Equal(t, r.active().Image().NextProducerID()-producerIDBlock, resp.ProducerIDStart)
			r.start(old.cfg.ID)
			time.Sleep(2 * time.Second)
		}
		require.Empty(t, r.happened(event.BrokerFenced))
	})
}

// S26, S52: an active node that is cut off from the others decides nothing more, says
// so within a lease, and what it reads is not taken for new.
func TestS26S52DeposedNodeDecidesNothing(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		b := r.broker(1)
		r.eventually(func() bool { return !b.registered().Fenced })
		old := r.active()
		a := old.active.Load()
		var others []string
		for id := range r.nodes {
			if id != old.cfg.ID {
				others = append(others, event.CoordinatorNode(id))
			}
		}
		heal := r.net.Cut([]string{old.name}, others)
		begin := time.Now()
		_, err := old.propose(a.ctx, state.FenceBroker{ID: 1, Epoch: b.epoch.Load(), Reason: "a zombie says so"})
		require.ErrorIs(t, err, metadata.ErrNotController)
		require.Less(t, time.Since(begin), 1100*time.Millisecond)
		require.ErrorIs(t, old.verify(a.ctx), metadata.ErrNotController)
		q := kmsg.NewPtrDescribeQuorumRequest()
		require.ErrorIs(t, wire.Err(a.describeQuorum(q).(*kmsg.DescribeQuorumResponse).ErrorCode), metadata.ErrNotController)
		fresh := r.activeBut(old.cfg.ID)
		heal()
		time.Sleep(5 * time.Second)
		require.False(t, b.registered().Fenced, "the zombie's entry was replaced")
		require.Empty(t, r.happened(event.BrokerFenced))
		_, ok := old.Active()
		require.False(t, ok)
		require.Equal(t, fresh.Image().AppendTo(nil), old.Image().AppendTo(nil))
	})
}

// S49: Raft's leadership transfer can get stuck, so nothing here transfers. What is
// used of it is its last step alone, TimeoutNow to oneself, and only when nobody leads.
func TestS49CampaignDisturbsNobody(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		old := r.active()
		term, _ := old.Active()
		time.Sleep(3 * time.Second)
		for _, n := range r.nodes {
			n.campaign()
		}
		time.Sleep(3 * time.Second)
		other := old.cfg.ID%3 + 1
		r.kill(other)
		time.Sleep(10 * time.Second) // the leader's patience with it has grown
		r.start(other)
		time.Sleep(3 * time.Second)
		now, ok := old.Active()
		require.True(t, ok)
		require.Equal(t, term, now)
	})
}
