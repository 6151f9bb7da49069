package coordinator

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A relaying broker passes requests of groups on, as the groups' broker does: over one
// connection, to whichever node is active, and again if it does not hear.
type relaying struct {
	*played
	c *quorumClient
}

func (b *played) relaying() *relaying {
	return &relaying{b, b.r.clients(b.host)}
}

// offsetsTopic is a request to make __consumer_offsets, of one partition.
func offsetsTopic(rf int16) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.Topics = 7, []kmsg.CreateTopicsRequestTopic{topicRequest(metadata.OffsetsTopic, 1, rf)}
	return req
}

func (b *relaying) envelope(req kmsg.Request, newID string) *kmsg.EnvelopeRequest {
	env := kmsg.NewPtrEnvelopeRequest()
	env.RequestData = wire.AppendRequest(nil, wire.Header{ClientID: kmsg.StringPtr("client")}, req)[4:]
	relay := wire.Relay{Broker: b.id, NewMemberID: newID, ClientHost: "/10.0.0.1"}
	if t := b.image.Load().TopicByName(metadata.OffsetsTopic); t != nil {
		relay.LeaderEpoch = t.Partitions[0].LeaderEpoch
	}
	wire.PutRelay(env, relay)
	return env
}

// ask relays a request until a node answers as the active one, and waits until this
// broker has replayed what the answer shows. nil if ctx ends.
func (b *relaying) ask(ctx context.Context, req kmsg.Request, newID string) kmsg.Response {
	for ctx.Err() == nil {
		resp, err := b.c.clients[b.c.at.Load()].Do(ctx, b.envelope(req, newID))
		if err != nil || refused(resp) {
			b.c.turn()
			wait(ctx, 5*time.Millisecond)
			continue
		}
		env := resp.(*kmsg.EnvelopeResponse)
		require.NoError(b.r.t, wire.Err(env.ErrorCode))
		inner := req.ResponseKind()
		_, err = wire.DecodeResponse(env.ResponseData, inner)
		require.NoError(b.r.t, err)
		shown, err := wire.ShownUpTo(env)
		require.NoError(b.r.t, err)
		for b.image.Load().Offset() < shown && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return inner
	}
	return nil
}

// A groupMember is a consumer, played.
type groupMember struct {
	b          *relaying
	group, id  string
	newID      string
	generation int32
	leader     bool
	members    []string // known to the group leader
	version    int16
	assigned   string
}

func (b *relaying) member(group, newID string) *groupMember {
	return &groupMember{b: b, group: group, newID: newID, version: 9}
}

// join joins, with an id that it is given first if need be.
func (m *groupMember) join() error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID = m.version, m.group, m.id
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = 6000, 60_000, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte("orders of " + m.newID)}}
	resp, ok := m.b.ask(m.b.ctx, req, m.newID).(*kmsg.JoinGroupResponse)
	if !ok {
		return context.Canceled
	}
	err := wire.Err(resp.ErrorCode)
	if m.id == "" && resp.MemberID != "" && err != nil {
		m.id = resp.MemberID
		return m.join()
	}
	if err == nil {
		m.id, m.generation, m.leader, m.members = resp.MemberID, resp.Generation, resp.LeaderID == resp.MemberID, nil
		for _, x := range resp.Members {
			m.members = append(m.members, x.MemberID)
		}
	}
	return err
}

// sync asks for the assignment; the group leader gives everybody its own id.
func (m *groupMember) sync() error {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = min(m.version, 5), m.group, m.id, m.generation
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	for _, id := range m.members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte("for " + id)})
	}
	resp, ok := m.b.ask(m.b.ctx, req, "").(*kmsg.SyncGroupResponse)
	if !ok {
		return context.Canceled
	}
	m.assigned = string(resp.MemberAssignment)
	return wire.Err(resp.ErrorCode)
}

func (m *groupMember) heartbeat() error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = min(m.version, 4), m.group, m.id, m.generation
	resp, ok := m.b.ask(m.b.ctx, req, "").(*kmsg.HeartbeatResponse)
	if !ok {
		return context.Canceled
	}
	return wire.Err(resp.ErrorCode)
}

func (m *groupMember) leave() error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group, req.MemberID = min(m.version, 5), m.group, m.id
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id}}
	resp, ok := m.b.ask(m.b.ctx, req, "").(*kmsg.LeaveGroupResponse)
	if !ok {
		return context.Canceled
	}
	if m.version >= 3 && resp.ErrorCode == 0 {
		return wire.Err(resp.Members[0].ErrorCode)
	}
	return wire.Err(resp.ErrorCode)
}

// together has members do the same at the same time.
func together(do func(*groupMember) error, members ...*groupMember) []error {
	done := make([]chan error, len(members))
	for i, m := range members {
		done[i] = make(chan error, 1)
		go func() { done[i] <- do(m) }()
	}
	errs := make([]error, len(members))
	for i := range members {
		errs[i] = <-done[i]
	}
	return errs
}

// requireAll has members do the same and succeed.
func requireAll(do func(*groupMember) error, members ...*groupMember) {
	for i, err := range together(do, members...) {
		require.NoError(members[0].b.r.t, err, members[i].newID)
	}
}
