package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// JoinGroup (11), SyncGroup (14), Heartbeat (12), LeaveGroup (13) and DeleteGroups (42), in
// an Envelope with a wire.Relay, any version. The answer's envelope says up to where it
// shows what is committed. NOT_COORDINATOR in the answer itself: the relaying broker is not the
// group's. NOT_CONTROLLER in the envelope: this node decides no more, and whether the request was
// carried out is not known; the broker asks the next node the same. A commit's sign of life is a
// Heartbeat whose answer nobody reads.

// relayed carries out a request that a group's broker has passed on.
func (a *active) relayed(ctx context.Context, req *kmsg.EnvelopeRequest, relay wire.Relay) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.EnvelopeResponse)
	h, body, err := wire.DecodeRequest(req.RequestData)
	if err != nil {
		resp.ErrorCode = wire.Code(fmt.Errorf("%w: %w", metadata.ErrInvalidRequest, err))
		return resp
	}
	client := ""
	if h.ClientID != nil {
		client = *h.ClientID
	}
	q := groupQuestion{a.groups, ctx, relay, client}
	inner, offset, err := q.answer(body)
	if err == nil && a.ctx.Err() != nil {
		err = fmt.Errorf("%w: it was deposed", metadata.ErrNotController)
	}
	if err != nil {
		resp.ErrorCode = wire.Code(err)
		return resp
	}
	resp.ResponseData = wire.AppendResponse(nil, h.CorrelationID, inner)[4:]
	wire.PutShownUpTo(resp, offset)
	return resp
}

// A groupQuestion is one relayed request.
type groupQuestion struct {
	groups *groups
	ctx    context.Context
	relay  wire.Relay
	client string
}

// answer translates a request for its group's machine, and the machine's answer back.
func (q groupQuestion) answer(body kmsg.Request) (kmsg.Response, int64, error) {
	switch req := body.(type) {
	case *kmsg.JoinGroupRequest:
		resp, offset := q.join(req)
		return resp, offset, nil
	case *kmsg.SyncGroupRequest:
		resp, offset := q.sync(req)
		return resp, offset, nil
	case *kmsg.HeartbeatRequest:
		resp, offset := q.heartbeat(req)
		return resp, offset, nil
	case *kmsg.LeaveGroupRequest:
		resp, offset := q.leave(req)
		return resp, offset, nil
	case *kmsg.DeleteGroupsRequest:
		resp, offset := q.delete(req)
		return resp, offset, nil
	}
	return nil, 0, fmt.Errorf("%w: API key %d, relayed for a group", metadata.ErrUnsupportedVersion, body.Key())
}

func (q groupQuestion) ask(group string, request func(consumergroup.Token) consumergroup.Request) consumergroup.Answer {
	return q.groups.ask(q.ctx, group, q.relay, request)
}

func (q groupQuestion) join(req *kmsg.JoinGroupRequest) (kmsg.Response, int64) {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	j := consumergroup.Join{
		MemberID: req.MemberID, NewMemberID: q.relay.NewMemberID, Instance: given(req.InstanceID),
		ClientID: q.client, ClientHost: q.relay.ClientHost,
		SessionTimeout: ofMillis(req.SessionTimeoutMillis), RebalanceTimeout: ofMillis(req.RebalanceTimeoutMillis),
		ProtocolType: req.ProtocolType, IDRequired: req.Version >= 4, SkipsAssignment: req.Version >= 9,
	}
	if req.Version == 0 {
		j.RebalanceTimeout = j.SessionTimeout
	}
	for _, p := range req.Protocols {
		j.Protocols = append(j.Protocols, consumergroup.Protocol{Name: p.Name, Metadata: string(p.Metadata)})
	}
	var a consumergroup.Answer
	if j.MemberID == "" && j.NewMemberID == "" {
		a.Err = fmt.Errorf("%w: the relay made no member id", metadata.ErrInvalidRequest)
	} else {
		a = q.ask(req.Group, func(t consumergroup.Token) consumergroup.Request { j.Token = t; return j })
	}
	resp.ErrorCode, resp.MemberID, resp.Generation = wire.Code(a.Err), req.MemberID, -1
	if r, ok := a.Reply.(consumergroup.JoinReply); ok {
		joined(resp, req.Version, r, a.Err)
	} else if req.Version < 7 {
		resp.Protocol = kmsg.StringPtr("")
	}
	return resp, a.Offset
}

// joined fills an answer to JoinGroup. Before version 7 no protocol is "" and not null.
func joined(resp *kmsg.JoinGroupResponse, version int16, r consumergroup.JoinReply, err error) {
	if r.MemberID != "" || errors.Is(err, metadata.ErrGroupMaxSizeReached) {
		resp.MemberID = r.MemberID
	}
	if err != nil {
		if version < 7 {
			resp.Protocol = kmsg.StringPtr("")
		}
		return
	}
	resp.Generation, resp.LeaderID, resp.SkipAssignment = r.Generation, r.Leader, r.SkipAssignment
	resp.Protocol, resp.ProtocolType = &r.Protocol, &r.ProtocolType
	resp.Members = []kmsg.JoinGroupResponseMember{}
	for _, m := range r.Members {
		x := kmsg.NewJoinGroupResponseMember()
		x.MemberID, x.InstanceID, x.ProtocolMetadata = m.ID, optional(m.Instance), []byte(m.Metadata)
		resp.Members = append(resp.Members, x)
	}
}

func (q groupQuestion) sync(req *kmsg.SyncGroupRequest) (kmsg.Response, int64) {
	resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
	s := consumergroup.Sync{
		MemberID: req.MemberID, Instance: given(req.InstanceID), Generation: req.Generation,
		ProtocolType: given(req.ProtocolType), Protocol: given(req.Protocol),
	}
	for _, a := range req.GroupAssignment {
		s.Assignments = append(s.Assignments, consumergroup.Assignment{Member: a.MemberID, Bytes: string(a.MemberAssignment)})
	}
	a := q.ask(req.Group, func(t consumergroup.Token) consumergroup.Request { s.Token = t; return s })
	resp.ErrorCode, resp.MemberAssignment = wire.Code(a.Err), []byte{}
	if r, ok := a.Reply.(consumergroup.SyncReply); ok && a.Err == nil {
		resp.ProtocolType, resp.Protocol, resp.MemberAssignment = &r.ProtocolType, &r.Protocol, []byte(r.Assignment)
	}
	return resp, a.Offset
}

func (q groupQuestion) heartbeat(req *kmsg.HeartbeatRequest) (kmsg.Response, int64) {
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	h := consumergroup.Heartbeat{MemberID: req.MemberID, Instance: given(req.InstanceID), Generation: req.Generation}
	a := q.ask(req.Group, func(t consumergroup.Token) consumergroup.Request { h.Token = t; return h })
	resp.ErrorCode = wire.Code(a.Err)
	return resp, a.Offset
}

func (q groupQuestion) leave(req *kmsg.LeaveGroupRequest) (kmsg.Response, int64) {
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	l := consumergroup.Leave{}
	for _, m := range req.Members {
		l.Members = append(l.Members, consumergroup.Leaver{MemberID: m.MemberID, Instance: given(m.InstanceID)})
	}
	if req.Version < 3 {
		l.Members = []consumergroup.Leaver{{MemberID: req.MemberID}}
	}
	a := q.ask(req.Group, func(t consumergroup.Token) consumergroup.Request { l.Token = t; return l })
	resp.ErrorCode = wire.Code(a.Err)
	results, _ := a.Reply.(consumergroup.LeaveReply)
	for _, r := range results {
		if req.Version < 3 {
			resp.ErrorCode = wire.Code(r.Err) // of the only one
			break
		}
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID, m.ErrorCode = r.MemberID, optional(r.Instance), wire.Code(r.Err)
		resp.Members = append(resp.Members, m)
	}
	return resp, a.Offset
}

// delete ends groups one after the other, each by itself. Their offsets are gone by
// then: that is the relaying broker's part.
func (q groupQuestion) delete(req *kmsg.DeleteGroupsRequest) (kmsg.Response, int64) {
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	resp.Groups = []kmsg.DeleteGroupsResponseGroup{}
	var shown int64
	for _, group := range req.Groups {
		a := q.ask(group, func(t consumergroup.Token) consumergroup.Request { return consumergroup.Delete{Token: t} })
		g := kmsg.NewDeleteGroupsResponseGroup()
		g.Group, g.ErrorCode = group, wire.Code(a.Err)
		resp.Groups = append(resp.Groups, g)
		shown = max(shown, a.Offset)
	}
	return resp, shown
}

func ofMillis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

// given is a string that a client may leave out, "" if it did; optional is the way back.
func given(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
