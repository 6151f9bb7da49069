package broker

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

func TestGroupVersionsOfDescribeGroups(t *testing.T) {
	inEveryVersion(t, kmsg.DescribeGroups, func(q *caller, v int16) {
		describe := func(client *wire.Client, group string) kmsg.DescribeGroupsResponseGroup {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Version, req.Groups, req.IncludeAuthorizedOperations = v, []string{group}, true
			resp := ask[*kmsg.DescribeGroupsResponse](q.T, client, req)
			require.Len(q, resp.Groups, 1)
			require.Equal(q, group, resp.Groups[0].Group)
			return resp.Groups[0]
		}
		const untold = -1 << 31
		allowed := func(known bool) int32 {
			if v < 3 || !known {
				return untold
			}
			return 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11 // read, delete, describe, describe and alter configs
		}
		for _, group := range []string{"nobody", ""} {
			g := describe(q.at(group), group)
			require.Equal(q, "Dead", g.State)
			require.Empty(q, g.Members)
			if v < 6 {
				q.code(nil, g.ErrorCode)
				require.Equal(q, allowed(true), g.AuthorizedOperations)
			} else {
				q.code(kerr.GroupIDNotFound, g.ErrorCode)
				require.Contains(q, *g.ErrorMessage, "not found")
				require.Equal(q, allowed(false), g.AuthorizedOperations)
			}
		}
		g := describe(q.other("nobody"), "nobody")
		q.code(kerr.NotCoordinator, g.ErrorCode)
		require.Empty(q, g.State)
		require.Equal(q, allowed(false), g.AuthorizedOperations)

		q.commit("simple", 1)
		g = describe(q.at("simple"), "simple")
		q.code(nil, g.ErrorCode)
		require.Equal(q, []string{"Empty", "", ""}, []string{g.State, g.ProtocolType, g.Protocol})
		require.Nil(q, g.ErrorMessage)

		group := named("describe", v)
		member, _ := q.join(group)
		g = describe(q.at(group), group)
		require.Equal(q, []string{"CompletingRebalance", "consumer", ""}, []string{g.State, g.ProtocolType, g.Protocol})
		me := kmsg.DescribeGroupsResponseGroupMember{
			MemberID: member, ClientID: "test", ClientHost: "/clients", ProtocolMetadata: []byte{}, MemberAssignment: []byte{},
		}
		require.Equal(q, []kmsg.DescribeGroupsResponseGroupMember{me}, g.Members)
		q.leave(group, member)
		me.MemberID, _ = q.stable(group)
		g = describe(q.at(group), group)
		q.code(nil, g.ErrorCode)
		require.Equal(q, []string{"Stable", "consumer", "range"}, []string{g.State, g.ProtocolType, g.Protocol})
		me.ProtocolMetadata, me.MemberAssignment = subscription("orders"), []byte("all")
		require.Equal(q, []kmsg.DescribeGroupsResponseGroupMember{me}, g.Members)
		require.Equal(q, allowed(true), g.AuthorizedOperations)
		q.leave(group, me.MemberID)
		g = describe(q.at(group), group)
		require.Equal(q, []string{"Empty", "consumer", ""}, []string{g.State, g.ProtocolType, g.Protocol})

		static := joinRequest(5, named("described", v), "")
		static.InstanceID = kmsg.StringPtr("i")
		q.code(nil, ask[*kmsg.JoinGroupResponse](q.T, q.at(static.Group), static).ErrorCode)
		if m := describe(q.at(static.Group), static.Group).Members[0]; v >= 4 {
			require.Equal(q, kmsg.StringPtr("i"), m.InstanceID)
		}
	})
}

func TestGroupVersionsOfListGroups(t *testing.T) {
	inEveryVersion(t, kmsg.ListGroups, func(q *caller, v int16) {
		if v == 0 {
			q.stable("stable")
			q.join("completing")
			q.commit("simple", 1)
		}
		list := func(states, types []string) (all []kmsg.ListGroupsResponseGroup) {
			for _, client := range q.clients {
				req := kmsg.NewPtrListGroupsRequest()
				req.Version, req.StatesFilter, req.TypesFilter = v, states, types
				resp := ask[*kmsg.ListGroupsResponse](q.T, client, req)
				q.code(nil, resp.ErrorCode)
				all = append(all, resp.Groups...)
			}
			slices.SortFunc(all, func(a, b kmsg.ListGroupsResponseGroup) int { return len(a.Group) - len(b.Group) })
			return all
		}
		listed := func(group, protocolType, state string) kmsg.ListGroupsResponseGroup {
			g := kmsg.ListGroupsResponseGroup{Group: group, ProtocolType: protocolType}
			if v >= 4 {
				g.GroupState = state
			}
			if v >= 5 {
				g.GroupType = "classic"
			}
			return g
		}
		simple, stable, completing := listed("simple", "", "Empty"), listed("stable", "consumer", "Stable"), listed("completing", "consumer", "CompletingRebalance")
		// simple and stable have names of the same length: their brokers decide the order
		require.ElementsMatch(q, []kmsg.ListGroupsResponseGroup{simple, stable, completing}, list(nil, nil))
		if v >= 4 {
			require.ElementsMatch(q, []kmsg.ListGroupsResponseGroup{simple, stable}, list([]string{"stable", " EMPTY "}, nil))
			require.Empty(q, list([]string{"nonsense"}, nil))
		}
		if v >= 5 {
			require.Len(q, list(nil, []string{"Classic"}), 3)
			require.Empty(q, list(nil, []string{"consumer"}))
			require.Equal(q, []kmsg.ListGroupsResponseGroup{completing}, list([]string{"CompletingRebalance"}, []string{"classic", "share"}))
		}
	})
}

func TestGroupVersionsOfDeleteGroups(t *testing.T) {
	inEveryVersion(t, kmsg.DeleteGroups, func(q *caller, v int16) {
		simple, left, joined := named("simple", v), named("left", v), named("joined", v)
		q.commit(simple, 1)
		q.commit("", 1)
		member, _ := q.stable(left)
		q.leave(left, member)
		q.commit(left, 2)
		q.stable(joined)
		del := func(client *wire.Client, group string) int16 {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Version, req.Groups = v, []string{group}
			resp := ask[*kmsg.DeleteGroupsResponse](q.T, client, req)
			require.Len(q, resp.Groups, 1)
			require.Equal(q, group, resp.Groups[0].Group)
			require.Equal(q, v >= 3 && resp.Groups[0].ErrorCode != 0, resp.Groups[0].ErrorMessage != nil)
			return resp.Groups[0].ErrorCode
		}
		q.code(kerr.NotCoordinator, del(q.other(simple), simple))
		q.code(kerr.NonEmptyGroup, del(q.at(joined), joined))
		for _, group := range []string{simple, left, ""} {
			q.code(nil, del(q.at(group), group))
			q.code(kerr.GroupIDNotFound, del(q.at(group), group))
			q.c.eventually("it is gone", func() bool {
				req := kmsg.NewPtrOffsetFetchRequest()
				req.Version, req.Group = 7, group
				return len(ask[*kmsg.OffsetFetchResponse](q.T, q.at(group), req).Topics) == 0
			})
		}
	})
}
