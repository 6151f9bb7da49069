package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// noCoordinator kills every coordinator node, until somebody is back.
func (q *caller) noCoordinator() (back func()) {
	for _, n := range q.c.coordinators {
		q.c.kill(n)
	}
	return func() {
		for id := range q.c.coordinators {
			q.c.startCoordinator(id, false)
		}
	}
}

// Clients of groups do not know BROKER_NOT_AVAILABLE, which is what a broker says who found no
// coordinator: whatever they ask, they are told that there is none for the group.
func TestARelayThatFindsNoCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newCaller(t)
		member, generation := q.stable("billing")
		home := q.c.brokers[1]
		if q.at("billing") == q.clients[2] {
			home = q.c.brokers[2]
		}
		shard, err := home.groups.of("billing")
		require.NoError(t, err)
		q.noCoordinator()
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, "billing", member, generation
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Version, leave.Group, leave.MemberID = 2, "billing", member
		end := kmsg.NewPtrDeleteGroupsRequest()
		end.Version, end.Groups = 2, []string{"billing"}
		for _, req := range []kmsg.Request{joinRequest(5, "billing", member), sync, leave, end} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			r := relay{groups: home.groups, shard: shard, channel: home.groups.relays, Relay: wire.Relay{Broker: home.id, LeaderEpoch: shard.epoch}}
			_, err := r.do(ctx, req)
			cancel()
			require.ErrorIs(t, err, metadata.ErrCoordinatorNotAvailable, kmsg.NameForKey(req.Key()))
			require.NotErrorIs(t, err, metadata.ErrBrokerNotAvailable)
			q.code(kerr.CoordinatorNotAvailable, wire.Code(err))
			require.ErrorContains(t, err, "no coordinator answered", "it says why")
		}
	})
}

// While no coordinator can be reached, what needs a decision waits for one as long as its client
// does, but for deletions; what is decided already is told.
func TestGroupsWithoutACoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newCaller(t)
		member, generation := q.stable("billing")
		gone, _ := q.stable("shipping")
		q.leave("shipping", gone)
		at, apart, elsewhere := q.at("billing"), q.apart("billing"), q.at("shipping")
		back := q.noCoordinator()

		end := kmsg.NewPtrDeleteGroupsRequest()
		end.Version, end.Groups = 2, []string{"shipping"}
		began := time.Now()
		deleted := ask[*kmsg.DeleteGroupsResponse](t, elsewhere, end).Groups[0]
		q.code(kerr.CoordinatorNotAvailable, deleted.ErrorCode)
		require.Equal(t, offsetCommitWait, time.Since(began))

		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Version, describe.Groups = 5, []string{"billing"}
		described := ask[*kmsg.DescribeGroupsResponse](t, at, describe).Groups[0]
		q.code(nil, described.ErrorCode)
		require.Equal(t, "Stable", described.State)
		require.Equal(t, member, described.Members[0].MemberID)

		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Version, beat.Group, beat.MemberID, beat.Generation = 3, "billing", member, generation
		q.code(nil, ask[*kmsg.HeartbeatResponse](t, at, beat).ErrorCode)
		beat.Generation++
		q.code(kerr.IllegalGeneration, ask[*kmsg.HeartbeatResponse](t, at, beat).ErrorCode)

		joined := meanwhile[*kmsg.JoinGroupResponse](apart, joinRequest(5, "billing", member))
		time.Sleep(20 * time.Second)
		select {
		case resp := <-joined:
			t.Fatalf("a join is answered %v, and nobody can have decided", resp)
		default:
		}
		back()
		resp := <-joined
		q.code(nil, resp.ErrorCode)
		require.Equal(t, generation+1, resp.Generation)
	})
}
