package broker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestGroupVersionsOfFindCoordinator(t *testing.T) {
	inEveryVersion(t, kmsg.FindCoordinator, func(q *caller, v int16) {
		find := func(kind int8, keys ...string) (found []kmsg.FindCoordinatorResponseCoordinator) {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.Version, req.CoordinatorType, req.CoordinatorKeys, req.CoordinatorKey = v, kind, keys, keys[0]
			resp := ask[*kmsg.FindCoordinatorResponse](q.T, q.clients[1], req)
			if v < 4 {
				require.Empty(q, resp.Coordinators)
				return []kmsg.FindCoordinatorResponseCoordinator{{NodeID: resp.NodeID, Host: resp.Host, Port: resp.Port, ErrorCode: resp.ErrorCode, ErrorMessage: resp.ErrorMessage}}
			}
			require.Len(q, resp.Coordinators, len(keys))
			for i, key := range keys {
				require.Equal(q, key, resp.Coordinators[i].Key)
			}
			return resp.Coordinators
		}
		for _, c := range find(0, "a", "", "b") {
			q.code(nil, c.ErrorCode)
			require.Contains(q, []int32{1, 2}, c.NodeID)
			require.True(q, strings.HasPrefix(c.Host, "broker-"))
			require.EqualValues(q, 9092, c.Port)
		}
		if v == 0 {
			return // knows groups only
		}
		for _, c := range append(find(1, "a"), find(9, "a")...) {
			require.NotZero(q, c.ErrorCode)
			require.EqualValues(q, -1, c.NodeID)
			require.EqualValues(q, -1, c.Port)
			require.Empty(q, c.Host)
		}
		q.code(kerr.InvalidRequest, find(9, "a")[0].ErrorCode)
	})
}

func TestGroupVersionsOfJoinGroup(t *testing.T) {
	inEveryVersion(t, kmsg.JoinGroup, func(q *caller, v int16) {
		group := named("join", v)
		join := func(change func(*kmsg.JoinGroupRequest)) *kmsg.JoinGroupResponse {
			req := joinRequest(v, group, "")
			change(req)
			return ask[*kmsg.JoinGroupResponse](q.T, q.at(req.Group), req)
		}
		refused := func(want *kerr.Error, member string, change func(*kmsg.JoinGroupRequest)) {
			q.Helper()
			resp := join(change)
			q.code(want, resp.ErrorCode)
			require.Equal(q, member, resp.MemberID)
			require.EqualValues(q, -1, resp.Generation)
			require.Empty(q, resp.LeaderID)
			require.Empty(q, resp.Members)
			require.Nil(q, resp.ProtocolType)
			if v < 7 {
				require.Equal(q, kmsg.StringPtr(""), resp.Protocol)
			} else {
				require.Nil(q, resp.Protocol)
			}
		}
		refused(kerr.InvalidGroupID, "me", func(r *kmsg.JoinGroupRequest) { r.Group, r.MemberID = "", "me" })
		refused(kerr.InvalidSessionTimeout, "me", func(r *kmsg.JoinGroupRequest) { r.MemberID, r.SessionTimeoutMillis = "me", 1 })
		refused(kerr.UnknownMemberID, "me", func(r *kmsg.JoinGroupRequest) { r.MemberID = "me" })
		refused(kerr.InconsistentGroupProtocol, "", func(r *kmsg.JoinGroupRequest) { r.Protocols = nil })
		refused(kerr.InconsistentGroupProtocol, "", func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })
		other := ask[*kmsg.JoinGroupResponse](q.T, q.other(group), joinRequest(v, group, ""))
		q.code(kerr.NotCoordinator, other.ErrorCode)

		member := ""
		if v >= 4 {
			first := join(func(*kmsg.JoinGroupRequest) {})
			q.code(kerr.MemberIDRequired, first.ErrorCode)
			require.True(q, strings.HasPrefix(first.MemberID, "test-"), first.MemberID)
			require.EqualValues(q, -1, first.Generation)
			member = first.MemberID
		}
		resp := join(func(r *kmsg.JoinGroupRequest) { r.MemberID = member })
		q.code(nil, resp.ErrorCode)
		require.EqualValues(q, 1, resp.Generation)
		require.Equal(q, kmsg.StringPtr("range"), resp.Protocol)
		if v >= 7 {
			require.Equal(q, kmsg.StringPtr("consumer"), resp.ProtocolType)
		}
		require.Equal(q, resp.MemberID, resp.LeaderID)
		require.False(q, resp.SkipAssignment)
		require.Equal(q, []kmsg.JoinGroupResponseMember{{MemberID: resp.MemberID, ProtocolMetadata: subscription("orders")}}, resp.Members)
		if v >= 5 {
			joinStatic(q, v)
		}
	})
}

// joinStatic is the part of static members.
func joinStatic(q *caller, v int16) {
	group := named("static", v)
	join := func(member string) *kmsg.JoinGroupResponse {
		req := joinRequest(v, group, member)
		req.InstanceID = kmsg.StringPtr("i")
		return ask[*kmsg.JoinGroupResponse](q.T, q.at(group), req)
	}
	first := join("")
	q.code(nil, first.ErrorCode, "a static member needs no id first")
	require.True(q, strings.HasPrefix(first.MemberID, "i-"), first.MemberID)
	require.Equal(q, kmsg.StringPtr("i"), first.Members[0].InstanceID)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, group, first.MemberID, first.Generation
	q.code(nil, ask[*kmsg.SyncGroupResponse](q.T, q.at(group), sync).ErrorCode)
	second := join("")
	q.code(nil, second.ErrorCode)
	require.Equal(q, first.Generation, second.Generation)
	require.NotEqual(q, first.MemberID, second.MemberID)
	if v >= 9 {
		require.True(q, second.SkipAssignment)
		require.Equal(q, second.MemberID, second.LeaderID)
		require.Len(q, second.Members, 1)
	} else {
		require.Equal(q, first.MemberID, second.LeaderID, "it must not think that it is to assign")
		require.Empty(q, second.Members)
	}
	fenced := join(first.MemberID)
	q.code(kerr.FencedInstanceID, fenced.ErrorCode)
	require.Equal(q, first.MemberID, fenced.MemberID)
}

func TestGroupVersionsOfSyncGroup(t *testing.T) {
	inEveryVersion(t, kmsg.SyncGroup, func(q *caller, v int16) {
		group := named("sync", v)
		member, generation := q.join(group)
		sync := func(change func(*kmsg.SyncGroupRequest)) *kmsg.SyncGroupResponse {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Version, req.Group, req.MemberID, req.Generation = v, group, member, generation
			req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
			req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("all")}}
			change(req)
			return ask[*kmsg.SyncGroupResponse](q.T, q.at(req.Group), req)
		}
		refused := func(want *kerr.Error, change func(*kmsg.SyncGroupRequest)) {
			q.Helper()
			resp := sync(change)
			q.code(want, resp.ErrorCode)
			require.Equal(q, []byte{}, resp.MemberAssignment)
			require.Nil(q, resp.ProtocolType)
			require.Nil(q, resp.Protocol)
		}
		refused(kerr.InvalidGroupID, func(r *kmsg.SyncGroupRequest) { r.Group = "" })
		refused(kerr.UnknownMemberID, func(r *kmsg.SyncGroupRequest) { r.Group = "nobody" })
		refused(kerr.UnknownMemberID, func(r *kmsg.SyncGroupRequest) { r.MemberID = "me" })
		refused(kerr.IllegalGeneration, func(r *kmsg.SyncGroupRequest) { r.Generation++ })
		if v >= 5 {
			for _, change := range []func(*kmsg.SyncGroupRequest){
				func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr("sticky") },
				func(r *kmsg.SyncGroupRequest) { r.ProtocolType = kmsg.StringPtr("connect") },
				func(r *kmsg.SyncGroupRequest) { r.Protocol = nil },
				func(r *kmsg.SyncGroupRequest) { r.ProtocolType = nil },
			} {
				refused(kerr.InconsistentGroupProtocol, change)
			}
		}
		resp := sync(func(*kmsg.SyncGroupRequest) {})
		q.code(nil, resp.ErrorCode)
		require.Equal(q, []byte("all"), resp.MemberAssignment)
		if v >= 5 {
			require.Equal(q, kmsg.StringPtr("consumer"), resp.ProtocolType)
			require.Equal(q, kmsg.StringPtr("range"), resp.Protocol)
		}
	})
}
