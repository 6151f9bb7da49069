package bench

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/wire"
)

const group = "billing"

// A member is one of a group, as bare as it can be: requests over a connection of its own
// and nothing behind them, so that not the client is what is measured. It gives no signs of
// life by itself.
type member struct {
	conn       *wire.Client
	id         string
	generation int32
	leads      bool // it assigns
	owns       []int32
}

// newMembers opens n connections to the group's broker.
func newMembers(tb testing.TB, c *brokertest.C, n int) []*member {
	addr := groupBroker(tb, c)
	members := make([]*member, n)
	for i := range members {
		members[i] = &member{conn: connected(c, addr)}
		tb.Cleanup(func() { _ = members[i].conn.Close() })
	}
	return members
}

func connected(c *brokertest.C, addr string) *wire.Client {
	return wire.NewClient(wire.ClientConfig{ClientID: "bench", Dial: func(ctx context.Context) (net.Conn, error) {
		return c.Dial(ctx, "tcp", addr)
	}})
}

// groupBroker waits until the group's broker serves it, and returns its address.
func groupBroker(tb testing.TB, c *brokertest.C) string {
	first := connected(c, c.Addrs()[0])
	defer first.Close()
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.Version, find.CoordinatorKeys = 4, []string{group}
	for tb.Context().Err() == nil {
		resp, err := first.Do(tb.Context(), find)
		require.NoError(tb, err)
		at := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
		if at.ErrorCode != 0 {
			pass(10 * time.Millisecond)
			continue
		}
		addr := c.Broker(at.NodeID).Addr()
		if serves(tb, c, addr) {
			return addr
		}
	}
	require.FailNow(tb, "the group has no broker")
	return ""
}

// serves reports whether the broker knows what the group has committed.
func serves(tb testing.TB, c *brokertest.C, addr string) bool {
	conn := connected(c, addr)
	defer conn.Close()
	if _, err := committed(tb.Context(), conn, nil); err != nil {
		pass(10 * time.Millisecond)
		return false
	}
	return true
}

// committed asks for the notes at the group's commits of some partitions.
func committed(ctx context.Context, conn *wire.Client, partitions []int32) (map[int32]string, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = 8
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = topic, partitions
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = group, append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	resp, err := conn.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	notes := map[int32]string{}
	answer := resp.(*kmsg.OffsetFetchResponse).Groups[0]
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if p.Metadata != nil {
				notes[p.Partition] = *p.Metadata
			}
			err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return notes, errors.Join(err, kerr.ErrorForCode(answer.ErrorCode))
}

// join joins and syncs, as clients do, until there is a generation that the member is in and
// knows its partitions of. The group leader gives each member one partition.
func (m *member) join(ctx context.Context) error {
	for {
		err := m.joinOnce(ctx)
		switch {
		case errors.Is(err, kerr.MemberIDRequired), errors.Is(err, kerr.RebalanceInProgress):
		case errors.Is(err, kerr.UnknownMemberID):
			m.id = "" // given by a coordinator that decides no more: a busy machine has elections
		default:
			return err
		}
	}
}

func (m *member) joinOnce(ctx context.Context) error {
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.MemberID, join.ProtocolType = 9, group, m.id, "consumer"
	join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 300_000, 300_000
	subscription := kmsg.NewConsumerMemberMetadata()
	subscription.Topics = []string{topic}
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "one-each", subscription.AppendTo(nil)
	join.Protocols = append(join.Protocols, p)
	resp, err := m.conn.Do(ctx, join)
	if err != nil {
		return err
	}
	joined := resp.(*kmsg.JoinGroupResponse)
	if joined.MemberID != "" {
		m.id = joined.MemberID
	}
	if err := kerr.ErrorForCode(joined.ErrorCode); err != nil {
		return err
	}
	m.generation, m.leads = joined.Generation, joined.LeaderID == m.id
	return m.sync(ctx, joined)
}

func (m *member) sync(ctx context.Context, joined *kmsg.JoinGroupResponse) error {
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 5, group, m.id, m.generation
	sync.Protocol, sync.ProtocolType = joined.Protocol, joined.ProtocolType
	for i, who := range joined.Members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = who.MemberID, onePartition(int32(i))
		sync.GroupAssignment = append(sync.GroupAssignment, a)
	}
	resp, err := m.conn.Do(ctx, sync)
	if err != nil {
		return err
	}
	synced := resp.(*kmsg.SyncGroupResponse)
	if err := kerr.ErrorForCode(synced.ErrorCode); err != nil {
		return err
	}
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(synced.MemberAssignment); err != nil {
		return err
	}
	m.owns = nil
	for _, t := range a.Topics {
		m.owns = append(m.owns, t.Partitions...)
	}
	return nil
}

func onePartition(p int32) []byte {
	t := kmsg.NewConsumerMemberAssignmentTopic()
	t.Topic, t.Partitions = topic, []int32{p}
	a := kmsg.NewConsumerMemberAssignment()
	a.Topics = append(a.Topics, t)
	return a.AppendTo(nil)
}

// commit commits the member's partition, of which nothing was read, with a note.
func (m *member) commit(ctx context.Context, note string) error {
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.Metadata = m.owns[0], 0, &note
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 9, group, m.id, m.generation
	req.Topics = append(req.Topics, t)
	resp, err := m.conn.Do(ctx, req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
}

// requireOneEach fails unless the members are in one generation and own each partition once.
func requireOneEach(tb testing.TB, members []*member) {
	owner := map[int32]*member{}
	for _, m := range members {
		require.Equal(tb, members[0].generation, m.generation)
		require.Len(tb, m.owns, 1)
		owner[m.owns[0]] = m
	}
	require.Len(tb, owner, len(members))
}
