package coordinator

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// inGroups starts three nodes and two brokers, the first of which leads __consumer_offsets.
func inGroups(t *testing.T, story func(r *rig, bs []*relaying), kv ...string) {
	inGroupsOf(t, 3, story, kv...)
}

func inGroupsOf(t *testing.T, nodes int32, story func(r *rig, bs []*relaying), kv ...string) {
	bubble(t, nodes, func(t *testing.T, r *rig) {
		r.config.GroupInitialDelay = 3 * time.Second
		r.startAll()
		var bs []*relaying
		for _, b := range r.unfenced(1, 2) {
			bs = append(bs, b.relaying())
			defer bs[len(bs)-1].c.close()
		}
		bs[0].create(offsetsTopic(2))
		r.eventually(func() bool {
			p := bs[0].image.Load().TopicByName(metadata.OffsetsTopic)
			return p != nil && bs[1].image.Load().TopicByName(metadata.OffsetsTopic) != nil
		})
		if leader := r.offsetsLeader(); leader != 1 {
			bs[0], bs[1] = bs[1], bs[0]
		}
		story(r, bs)
	}, kv...)
}

func (r *rig) offsetsLeader() int32 {
	return r.active().Image().TopicByName(metadata.OffsetsTopic).Partitions[0].Leader
}

func (r *rig) facts(id string) *consumergroup.ClassicFacts {
	g, _ := r.active().Image().Group(id)
	facts, err := consumergroup.FactsOf(g)
	require.NoError(r.t, err)
	f, _ := facts.(*consumergroup.ClassicFacts)
	return f
}

// stable has new members join and sync.
func stable(b *relaying, group string, ids ...string) []*groupMember {
	var members []*groupMember
	for _, id := range ids {
		members = append(members, b.member(group, id))
	}
	requireAll((*groupMember).join, members...)
	requireAll((*groupMember).sync, members...)
	return members
}

func TestTwoMembersJoinAndSync(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1")
		for _, m := range ms {
			require.EqualValues(t, 1, m.generation)
			require.Equal(t, "for "+m.newID, m.assigned)
			require.NoError(t, m.heartbeat())
		}
		f := r.facts("billing")
		require.Equal(t, consumergroup.Stable, f.State)
		require.Len(t, f.Members, 2)
		require.Equal(t, "/10.0.0.1", f.Members[0].ClientHost)
		require.Equal(t, "client", f.Members[0].ClientID)
		require.Len(t, r.happened(event.GroupMemberJoined), 2)
		r.requireCauses(event.GroupStable, event.GroupGeneration, event.GroupRebalancing)

		silent := time.Now()
		for range 8 {
			time.Sleep(time.Second)
			if err := ms[1].heartbeat(); err != nil {
				require.ErrorIs(t, err, metadata.ErrRebalanceInProgress)
				break
			}
		}
		expired := r.happened(event.GroupMemberExpired)
		require.Len(t, expired, 1)
		require.InDelta(t, 6, expired[0].Time.Sub(silent).Seconds(), 0.3, "a session, and up to a heartbeat of the broker")
		r.requireCauses(event.GroupRebalancing, event.GroupMemberExpired)
		require.NoError(t, ms[1].join())
		require.EqualValues(t, 2, ms[1].generation)
		require.Equal(t, []string{"b-1"}, ms[1].members)
		require.NoError(t, ms[1].sync())
		require.NoError(t, ms[1].leave())
		require.Equal(t, consumergroup.Empty, r.facts("billing").State)
		require.Len(t, r.happened(event.GroupMemberLeft), 1)
		r.requireLevel()
	})
}

// After a failover the same generation goes on; a member that died meanwhile is found
// by its session.
func TestGroupsSurviveTheActiveCoordinator(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1", "c-1")
		for round := range 3 {
			old := r.active().cfg.ID
			r.kill(old)
			for _, m := range ms {
				require.NoError(t, m.heartbeat(), "round %d", round)
			}
			r.start(old)
			time.Sleep(2 * time.Second)
		}
		require.Len(t, r.happened(event.GroupRebalancing), 1, "of the empty group")
		for _, m := range ms {
			require.NoError(t, m.heartbeat())
		}
		stable(bs[0], "shipping", "d-1") // nobody will ask for it any more
		r.kill(r.active().cfg.ID)
		r.active()
		took := time.Now()
		for time.Since(took) < 7*time.Second {
			_, _ = ms[0].heartbeat(), ms[1].heartbeat() // at last they are to rejoin
			time.Sleep(500 * time.Millisecond)
		}
		var expired []any
		for _, e := range r.happened(event.GroupMemberExpired) {
			expired = append(expired, e.Data["member"])
		}
		require.ElementsMatch(t, []any{"c-1", "d-1"}, expired)
		requireAll((*groupMember).join, ms[:2]...)
		require.EqualValues(t, 2, ms[0].generation)
	})
}

// The active coordinator dies while members are to rejoin: those who wait are asked for
// again by their broker, and the rebalance goes on. No ghost is left.
func TestARebalanceSurvivesTheActiveCoordinator(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1")
		late := bs[0].member("billing", "c-1")
		joined := make(chan error, 1)
		go func() { joined <- late.join() }()
		synctest.Wait()
		require.ErrorIs(t, ms[0].heartbeat(), metadata.ErrRebalanceInProgress)
		r.kill(r.active().cfg.ID)
		r.active()
		require.ErrorIs(t, ms[0].heartbeat(), metadata.ErrRebalanceInProgress)
		requireAll((*groupMember).join, ms...)
		err := <-joined
		if err != nil {
			// It was given an id by a node that is gone, or came after the others.
			require.ErrorIs(t, err, metadata.ErrUnknownMemberID)
			late.id = ""
			go func() { joined <- late.join() }()
			synctest.Wait()
			requireAll((*groupMember).join, ms...)
			require.NoError(t, <-joined)
		}
		requireAll((*groupMember).join, append(ms, late)...)
		requireAll((*groupMember).sync, append(ms, late)...)
		require.Len(t, r.facts("billing").Members, 3)
	})
}

// A node that is cut off tells nobody anything: who waits is told to ask another one.
func TestADeposedNodeAnswersWhoWaits(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		stable(bs[0], "billing", "a-1")
		old := r.active()
		a := old.active.Load()
		answers := make(chan consumergroup.Answer, 2)
		relay, _, err := wire.RelayOf(bs[0].envelope(kmsg.NewPtrHeartbeatRequest(), ""))
		require.NoError(t, err)
		ask := func(make func(consumergroup.Token) consumergroup.Request) {
			go func() { answers <- a.groups.ask(r.t.Context(), "billing", relay, make) }()
			synctest.Wait()
		}
		ask(func(to consumergroup.Token) consumergroup.Request { // waits for the others
			return consumergroup.Join{Token: to, NewMemberID: "b-1", SessionTimeout: 6 * time.Second, RebalanceTimeout: time.Minute,
				ProtocolType: "consumer", Protocols: []consumergroup.Protocol{{Name: "range"}}}
		})
		var others []string
		for id := range r.nodes {
			if id != old.cfg.ID {
				others = append(others, event.CoordinatorNode(id))
			}
		}
		heal := r.net.Cut([]string{old.name}, others)
		ask(func(to consumergroup.Token) consumergroup.Request { // is proposed and never committed
			return consumergroup.Leave{Token: to, Members: []consumergroup.Leaver{{MemberID: "a-1"}}}
		})
		for range 2 {
			require.ErrorIs(t, (<-answers).Err, metadata.ErrNotCoordinator)
		}
		resp := a.relayed(r.t.Context(), bs[0].envelope(kmsg.NewPtrHeartbeatRequest(), ""), relay).(*kmsg.EnvelopeResponse)
		require.ErrorIs(t, wire.Err(resp.ErrorCode), metadata.ErrNotController)
		r.activeBut(old.cfg.ID) // healed sooner, it might lead again and commit it after all
		heal()
		require.Equal(t, consumergroup.PreparingRebalance, r.facts("billing").State)
		require.Len(t, r.facts("billing").Members, 1, "nobody has left")
		r.requireLevel()
	})
}

// Somebody else has changed the group: what was decided without knowing that is not
// committed, and the machine begins anew from the facts.
func TestALostCompareAndSetRebuildsTheGroup(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1")
		n := r.active()
		g, _ := n.Image().Group("billing")
		change := state.ChangeGroup{ID: "billing", Presumes: g.Offset,
			Facts: consumergroup.AppendFacts(nil, []consumergroup.Fact{consumergroup.Removed{Members: []string{"b-1"}, Leader: "a-1"}})}
		_, err := n.propose(n.active.Load().ctx, change)
		require.NoError(t, err)
		require.ErrorIs(t, ms[0].leave(), metadata.ErrNotCoordinator)
		require.Len(t, r.facts("billing").Members, 1)
		require.ErrorIs(t, ms[1].heartbeat(), metadata.ErrUnknownMemberID)
		require.NoError(t, ms[0].heartbeat())
	})
}

func TestASilentBrokerStopsTheTimeOfItsGroups(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1")
		time.Sleep(time.Second)
		bs[0].gate.Pause()
		time.Sleep(20 * time.Second)
		require.Empty(t, r.happened(event.GroupMemberExpired))
		bs[0].gate.Resume()
		time.Sleep(time.Second)
		require.Empty(t, r.happened(event.GroupMemberExpired), "nobody could be heard")
		require.NoError(t, ms[0].heartbeat())
		time.Sleep(4500 * time.Millisecond)
		expired := r.happened(event.GroupMemberExpired)
		require.Len(t, expired, 1, "time goes on")
		require.Equal(t, "b-1", expired[0].Data["member"])
	}, "broker.session.timeout.ms", "60000")
}

// The group's broker dies, and every member's session is shorter than the broker's.
func TestGroupsMoveWithTheirBroker(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1")
		stale := bs[0].envelope(kmsg.NewPtrHeartbeatRequest(), "")
		bs[0].powerOff()
		r.eventually(func() bool { return r.offsetsLeader() == bs[1].id })
		require.Empty(t, r.happened(event.GroupMemberExpired))
		for _, m := range ms {
			m.b = bs[1]
			time.Sleep(2500 * time.Millisecond)
			require.NoError(t, m.heartbeat(), "a full session since")
		}
		require.EqualValues(t, 1, r.facts("billing").Generation)

		// What the old one still relays counts for nothing, nor what the new one did in
		// another epoch.
		for _, broker := range []int32{bs[0].id, bs[1].id} {
			relay, _, err := wire.RelayOf(stale)
			require.NoError(t, err)
			relay.Broker = broker
			a := r.active().active.Load().groups.ask(r.t.Context(), "billing", relay, func(to consumergroup.Token) consumergroup.Request {
				return consumergroup.Heartbeat{Token: to, MemberID: "a-1", Generation: 1}
			})
			require.ErrorIs(t, a.Err, metadata.ErrNotCoordinator, "broker %d in epoch %d", relay.Broker, relay.LeaderEpoch)
		}
	}, "broker.session.timeout.ms", "9000")
}

func TestEveryVersionOfAMembersRequests(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		for version := range int16(10) {
			m := bs[0].member(fmt.Sprint("group-", version), "a-1")
			m.version = version
			require.NoError(t, m.join(), version)
			require.NoError(t, m.sync(), version)
			require.Equal(t, "for a-1", m.assigned)
			require.NoError(t, m.heartbeat())
			require.NoError(t, m.leave())
			require.ErrorIs(t, m.leave(), metadata.ErrUnknownMemberID)
		}
		del := kmsg.NewPtrDeleteGroupsRequest()
		del.Version, del.Groups = 2, []string{"group-1", "group-2", "none", ""}
		resp := bs[0].ask(bs[0].ctx, del, "").(*kmsg.DeleteGroupsResponse)
		for i, want := range []error{nil, nil, metadata.ErrGroupIDNotFound, metadata.ErrInvalidGroupID} {
			require.Equal(t, wire.Code(want), resp.Groups[i].ErrorCode, "number %d", i)
		}
		require.Len(t, r.active().Image().GroupIDs(), 8)
		require.Len(t, r.happened(event.GroupDeleted), 2)
		require.Empty(t, r.active().active.Load().groups.machines, "of empty groups nothing is kept")
	})
}

func TestManyGroups(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		var ms []*groupMember
		for i := range 200 {
			ms = append(ms, bs[0].member(fmt.Sprint("group-", i), "a-1"))
		}
		requireAll((*groupMember).join, ms...)
		requireAll((*groupMember).sync, ms...)
		r.kill(r.active().cfg.ID)
		requireAll((*groupMember).heartbeat, ms...)
		require.Empty(t, r.happened(event.GroupMemberExpired))
		time.Sleep(8 * time.Second)
		require.Len(t, r.happened(event.GroupMemberExpired), len(ms))
		r.requireLevel()
	})
}

// The only node sleeps: its members could not be heard, and nobody is late.
func TestTheNodesOwnSleepExpiresNobody(t *testing.T) {
	inGroupsOf(t, 1, func(r *rig, bs []*relaying) {
		ms := stable(bs[0], "billing", "a-1", "b-1")
		r.gates[1].Pause()
		time.Sleep(20 * time.Second)
		r.gates[1].Resume()
		time.Sleep(time.Second)
		require.Empty(t, r.happened(event.GroupMemberExpired))
		require.NoError(t, ms[0].heartbeat())
		require.NoError(t, ms[1].heartbeat())
	})
}

// A group that is too large is refused, and the next members find it as if nobody had asked.
func TestAGroupThatIsTooLargeIsRefused(t *testing.T) {
	inGroups(t, func(r *rig, bs []*relaying) {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = 3, "billing", 6000, 6000, "consumer"
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: make([]byte, metadata.MaxGroupFacts+1)}}
		resp := bs[0].ask(bs[0].ctx, req, "large").(*kmsg.JoinGroupResponse)
		require.ErrorIs(t, wire.Err(resp.ErrorCode), metadata.ErrUnknownServer)
		ms := stable(bs[0], "billing", "a-1")
		require.Len(t, r.facts("billing").Members, 1)
		require.NoError(t, ms[0].leave())
	})
}
