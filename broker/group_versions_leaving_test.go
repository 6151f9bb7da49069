package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestGroupVersionsOfHeartbeat(t *testing.T) {
	inEveryVersion(t, kmsg.Heartbeat, func(q *caller, v int16) {
		group := named("beat", v)
		member, generation := q.join(group)
		beat := func(change func(*kmsg.HeartbeatRequest)) int16 {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Version, req.Group, req.MemberID, req.Generation = v, group, member, generation
			change(req)
			return ask[*kmsg.HeartbeatResponse](q.T, q.at(req.Group), req).ErrorCode
		}
		q.code(nil, beat(func(*kmsg.HeartbeatRequest) {}), "while the assignment is awaited")
		q.code(kerr.InvalidGroupID, beat(func(r *kmsg.HeartbeatRequest) { r.Group = "" }))
		q.code(kerr.UnknownMemberID, beat(func(r *kmsg.HeartbeatRequest) { r.Group = "nobody" }))
		q.code(kerr.UnknownMemberID, beat(func(r *kmsg.HeartbeatRequest) { r.MemberID = "me" }))
		q.code(kerr.IllegalGeneration, beat(func(r *kmsg.HeartbeatRequest) { r.Generation-- }))
		if v >= 3 {
			q.code(kerr.UnknownMemberID, beat(func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") }))
		}
		joined := meanwhile[*kmsg.JoinGroupResponse](q.apart(group), joinRequest(3, group, ""))
		time.Sleep(time.Second)
		q.code(kerr.RebalanceInProgress, beat(func(*kmsg.HeartbeatRequest) {}))
		q.leave(group, member)
		q.code(nil, (<-joined).ErrorCode)
	})
}

func TestGroupVersionsOfLeaveGroup(t *testing.T) {
	inEveryVersion(t, kmsg.LeaveGroup, func(q *caller, v int16) {
		group := named("leave", v)
		leave := func(group string, members ...kmsg.LeaveGroupRequestMember) *kmsg.LeaveGroupResponse {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Version, req.Group, req.Members, req.MemberID = v, group, members, members[0].MemberID
			return ask[*kmsg.LeaveGroupResponse](q.T, q.at(group), req)
		}
		me := kmsg.LeaveGroupRequestMember{MemberID: "me"}
		resp := leave("", me)
		q.code(kerr.InvalidGroupID, resp.ErrorCode)
		require.Empty(q, resp.Members)
		member, _ := q.join(group)
		for _, group := range []string{"nobody", group} {
			resp = leave(group, me)
			if v < 3 {
				q.code(kerr.UnknownMemberID, resp.ErrorCode)
				continue
			}
			q.code(nil, resp.ErrorCode)
			require.Equal(q, []kmsg.LeaveGroupResponseMember{{MemberID: "me", ErrorCode: kerr.UnknownMemberID.Code}}, resp.Members)
		}
		if v < 3 {
			resp = leave(group, kmsg.LeaveGroupRequestMember{MemberID: member})
			q.code(nil, resp.ErrorCode)
			require.Empty(q, resp.Members)
			return
		}
		static := joinRequest(5, named("static", v), "")
		static.InstanceID = kmsg.StringPtr("i")
		first := ask[*kmsg.JoinGroupResponse](q.T, q.at(static.Group), static)
		q.code(nil, first.ErrorCode)
		unknown := kerr.UnknownMemberID.Code
		instance := func(id, i string) kmsg.LeaveGroupRequestMember {
			return kmsg.LeaveGroupRequestMember{MemberID: id, InstanceID: &i}
		}
		answer := func(id, i string, code int16) kmsg.LeaveGroupResponseMember {
			return kmsg.LeaveGroupResponseMember{MemberID: id, InstanceID: &i, ErrorCode: code}
		}
		resp = leave(static.Group, instance("", "j"), instance("x", "i"), instance("", "i"), instance(first.MemberID, "i"))
		q.code(nil, resp.ErrorCode)
		require.Equal(q, []kmsg.LeaveGroupResponseMember{
			answer("", "j", unknown), answer("x", "i", kerr.FencedInstanceID.Code), answer("", "i", 0), answer(first.MemberID, "i", unknown),
		}, resp.Members)

		given := ask[*kmsg.JoinGroupResponse](q.T, q.at(group), joinRequest(4, group, ""))
		q.code(kerr.MemberIDRequired, given.ErrorCode)
		resp = leave(group, kmsg.LeaveGroupRequestMember{MemberID: given.MemberID}, kmsg.LeaveGroupRequestMember{MemberID: member})
		require.Equal(q, []kmsg.LeaveGroupResponseMember{{MemberID: given.MemberID}, {MemberID: member}}, resp.Members, "one was only given an id")
	})
}
