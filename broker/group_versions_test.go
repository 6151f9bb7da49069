package broker

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/broker/groups"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// The group_versions tests ask in every version of the requests of groups and look at
// every field of the answers: what Kafka says in that version, to the null and the "".

// A caller asks the brokers of groups, in a bubble of its own.
type caller struct {
	*testing.T
	c       *testCluster
	clients map[int32]*wire.Client
}

// inEveryVersion runs f with each version of an API that brokers serve, with one cluster
// for all.
func inEveryVersion(t *testing.T, api kmsg.Key, f func(q *caller, version int16)) {
	t.Helper()
	low, high, ok := acceptedVersions(api.Int16())
	require.True(t, ok)
	synctest.Test(t, func(t *testing.T) {
		q := newCaller(t)
		for v := low; v <= high; v++ {
			f(q, v)
			if t.Failed() {
				t.Fatalf("%s v%d", api.Name(), v)
			}
		}
	})
}

// newCaller makes a cluster with the topic orders, and __consumer_offsets.
func newCaller(t *testing.T) *caller {
	t.Helper()
	c := startCluster(t, 2)
	c.createTopic("orders", [][]int32{{1, 2}, {2, 1}})
	q := &caller{t, c, map[int32]*wire.Client{1: c.client(1), 2: c.client(2)}}
	q.at("any")
	c.eventually("every group has a broker", func() bool {
		served := 0
		for _, b := range c.brokers {
			shards := b.groups.Committed()
			served += len(shards)
		}
		return served == 50
	})
	return q
}

// at returns a client of the group's broker, once that serves the group.
func (q *caller) at(group string) *wire.Client {
	q.Helper()
	id := int32(-1)
	q.c.eventually("group "+group+" has a broker", func() bool {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey = group
		resp := ask[*kmsg.FindCoordinatorResponse](q.T, q.clients[1], req)
		if id = resp.NodeID; resp.ErrorCode != 0 {
			return false
		}
		return slices.ContainsFunc(q.c.brokers[id].CommittedOffsets(), func(s groups.OffsetsStatus) bool {
			return s.Partition == metadata.GroupPartition(group, 50)
		})
	})
	return q.clients[id]
}

// apart is at with a connection of its own, for who is to wait.
func (q *caller) apart(group string) *wire.Client {
	if q.at(group) == q.clients[1] {
		return q.c.client(1)
	}
	return q.c.client(2)
}

// other returns a client of a broker that is not the group's.
func (q *caller) other(group string) *wire.Client {
	if q.at(group) == q.clients[1] {
		return q.clients[2]
	}
	return q.clients[1]
}

// code compares a code by name.
func (q *caller) code(want *kerr.Error, code int16, what ...any) {
	q.Helper()
	name := "NONE"
	if want != nil {
		name = want.Message
	}
	got := "NONE"
	if code != 0 {
		got = kerr.ErrorForCode(code).(*kerr.Error).Message
	}
	require.Equal(q.T, name, got, what...)
}

// joinRequest is that of a member "" or a known one.
func joinRequest(version int16, group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = version, group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 10_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription("orders")}}
	return req
}

// subscription is what a consumer sends of itself.
func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}

// join makes somebody the only member of a group, not synced yet.
func (q *caller) join(group string) (member string, generation int32) {
	q.Helper()
	req := joinRequest(5, group, "")
	q.at(group)
	first := ask[*kmsg.JoinGroupResponse](q.T, q.at(group), req)
	q.code(kerr.MemberIDRequired, first.ErrorCode)
	req.MemberID = first.MemberID
	second := ask[*kmsg.JoinGroupResponse](q.T, q.at(group), req)
	q.code(nil, second.ErrorCode)
	return second.MemberID, second.Generation
}

// stable makes somebody the only member of a group that is Stable.
func (q *caller) stable(group string) (member string, generation int32) {
	q.Helper()
	member, generation = q.join(group)
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, group, member, generation
	req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("all")}}
	q.code(nil, ask[*kmsg.SyncGroupResponse](q.T, q.at(group), req).ErrorCode)
	return member, generation
}

// commit commits an offset of orders-0 as nobody, in a group without members.
func (q *caller) commit(group string, offset int64) {
	q.Helper()
	req := commitRequest(8, group, q.c.brokers[1].Image().TopicByName("orders").ID, offset)
	resp := ask[*kmsg.OffsetCommitResponse](q.T, q.at(group), req)
	q.code(nil, resp.Topics[0].Partitions[0].ErrorCode)
}

// commitRequest is that of nobody, for orders-0.
func commitRequest(version int16, group string, topic [16]byte, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = version, group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = "orders", topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch, p.Metadata = offset, 0, kmsg.StringPtr("note")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// named is a group for one version of a test.
func named(what string, version int16) string { return fmt.Sprintf("%s-%d", what, version) }

// leave has the members of a group leave it.
func (q *caller) leave(group string, members ...string) {
	q.Helper()
	for _, m := range members {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group, req.MemberID = group, m
		q.code(nil, ask[*kmsg.LeaveGroupResponse](q.T, q.at(group), req).ErrorCode)
	}
}

// meanwhile is ask for who waits elsewhere.
func meanwhile[R kmsg.Response](client *wire.Client, req kmsg.Request) <-chan R {
	answer := make(chan R, 1)
	go func() {
		resp, err := client.Do(context.Background(), req)
		if err == nil {
			answer <- resp.(R)
		}
		close(answer)
	}()
	return answer
}
