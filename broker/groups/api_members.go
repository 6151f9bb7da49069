package groups

// JoinGroup (key 11), versions 0 to 9; SyncGroup (14), 0 to 5; Heartbeat (12), 0 to 4;
// LeaveGroup (13), 0 to 5: what members of a group ask. The group's broker passes it on to the
// active coordinator, which decides (coordinator/rpc_groups.go has the versions), and the
// answer back, see relay.go. Answers may take minutes: a join waits for all members. The
// connection's next request begins meanwhile.
//
// A broker that is not the group's says NOT_COORDINATOR, one that does not know yet what is
// committed COORDINATOR_LOAD_IN_PROGRESS: until then the broker before it may let a commit in that
// survives, and nobody may hear of a newer generation. Heartbeats it relays all the same, unlike
// Kafka's: while a new leader waits for its replicas, members must not seem to be silent.
//
// Left out: authorization. Version 5 of SyncGroup must name the protocol (KIP-559).

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// JoinGroup relays a join. A member that has no id yet is given one before.
func (g *Groups) JoinGroup(ctx context.Context, r *wire.Request, req *kmsg.JoinGroupRequest) wire.Reply {
	id := ""
	if req.MemberID == "" {
		client, instance := "", ""
		if r.ClientID != nil {
			client = *r.ClientID
		}
		if req.InstanceID != nil {
			instance = *req.InstanceID
		}
		id = g.newMemberID(client, instance)
	}
	return g.relayed(ctx, r, req.Group, g.cfg.Relays, id)
}

// SyncGroup relays who asks for its assignment, or brings everybody's.
func (g *Groups) SyncGroup(ctx context.Context, r *wire.Request, req *kmsg.SyncGroupRequest) wire.Reply {
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		return groupRefusal(r, fmt.Errorf("%w: the member does not say which it follows", metadata.ErrInconsistentGroupProtocol))
	}
	return g.relayed(ctx, r, req.Group, g.cfg.Relays, "")
}

// LeaveGroup relays who goes.
func (g *Groups) LeaveGroup(ctx context.Context, r *wire.Request, req *kmsg.LeaveGroupRequest) wire.Reply {
	return g.relayed(ctx, r, req.Group, g.cfg.Relays, "")
}

// heartbeatPatience is how long a heartbeat waits for the active coordinator: far longer than it
// takes, and shorter than a client's other requests on the connection may be held up.
const heartbeatPatience = 100 * time.Millisecond

// Heartbeat answers by what is replayed here if the active coordinator cannot be asked for a
// moment, so that nothing stands still while the next one is elected. The sign of life is
// told on, and whoever takes over gives every member a full session. But a broker that nobody may have
// heard for its own session says COORDINATOR_NOT_AVAILABLE: there may be another broker of the group by now, and
// members that look for it.
func (g *Groups) Heartbeat(ctx context.Context, r *wire.Request, req *kmsg.HeartbeatRequest) wire.Reply {
	return g.relayedOr(ctx, r, req.Group, g.cfg.Beats, "", heartbeatPatience, func() (kmsg.Response, error) {
		s, err := g.of(req.Group)
		if err != nil {
			return nil, err
		}
		if err := s.answerHeartbeat(req); err != nil {
			return nil, err
		}
		g.alive.note(sign{member{req.Group, req.MemberID}, s, req.InstanceID, req.Generation}, 0, time.Now())
		return req.ResponseKind(), nil
	})
}

// relayed begins to relay a request, and answers when the answer is there. newMemberID is that of
// a member that has none yet.
func (g *Groups) relayed(ctx context.Context, r *wire.Request, group string, channel Channel, newMemberID string) wire.Reply {
	if group == "" {
		return groupRefusal(r, metadata.ErrInvalidGroupID)
	}
	if _, err := g.loaded(ctx, group); err != nil {
		return groupRefusal(r, err)
	}
	return g.relayedOr(ctx, r, group, channel, newMemberID, 0, nil)
}

// relayedOr is relayed for what can be answered otherwise after a while, unless that is 0.
func (g *Groups) relayedOr(ctx context.Context, r *wire.Request, group string, channel Channel, newMemberID string,
	patience time.Duration, otherwise func() (kmsg.Response, error)) wire.Reply {
	if group == "" {
		return groupRefusal(r, metadata.ErrInvalidGroupID)
	}
	s, err := g.of(group)
	if err != nil {
		return groupRefusal(r, err)
	}
	relay := g.relay(s, channel, r)
	relay.NewMemberID = newMemberID
	answer := make(chan kmsg.Response, 1)
	go func() { // Later, which is always called, waits for it
		answer <- g.cfg.Guarded(r, func() kmsg.Response {
			resp, err := relay.doWithin(ctx, r.Body, patience)
			if errors.Is(err, errOutOfPatience) {
				resp, err = otherwise()
			}
			if err != nil {
				resp = groupError(r.Body, err)
			}
			s.told(r.Body, resp)
			return resp
		})
	}()
	return wire.Reply{Later: func() kmsg.Response { return <-answer }}
}

func groupRefusal(r *wire.Request, err error) wire.Reply {
	return wire.Reply{Response: groupError(r.Body, err)}
}

// groupError answers a request of a group with an error, and nothing beside it that a
// client could take for an answer.
func groupError(req kmsg.Request, err error) kmsg.Response {
	resp := wire.ErrorAnswer(req, wire.Code(err))
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		resp.Generation = -1
	case *kmsg.SyncGroupResponse:
		resp.ProtocolType, resp.Protocol = nil, nil
	case *kmsg.LeaveGroupResponse:
		resp.Members = []kmsg.LeaveGroupResponseMember{}
	}
	return resp
}
