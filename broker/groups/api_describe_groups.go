package groups

// DescribeGroups (key 15), versions 0 to 6: state, protocol and members of groups, by what this
// broker has replayed of them. Members that wait for their first generation are no facts
// yet and are not shown. Subscriptions and assignments are, while the group is Stable.
//
// Left out: authorization; asked for the allowed operations, the answer is all.
//
// Versions: 3 allowed operations; 4 static members; 5 flexible; 6 GROUP_ID_NOT_FOUND for a group
// that is not there (KIP-1043), before: one that is Dead.

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// groupOperations are the operations that Kafka knows of a group, as bits: read, delete,
// describe, describe its configs, alter them.
const groupOperations int32 = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11

// DescribeGroups tells of groups whose broker this is.
func (g *Groups) DescribeGroups(ctx context.Context, req *kmsg.DescribeGroupsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	resp.Groups = []kmsg.DescribeGroupsResponseGroup{}
	for _, id := range req.Groups {
		a, err := g.describeGroup(ctx, id)
		if err != nil {
			a.ErrorCode = wire.Code(err)
			if req.Version >= 6 {
				a.ErrorMessage = kmsg.StringPtr(err.Error())
			}
		}
		if a.State == consumergroup.Dead.String() && req.Version < 6 {
			a.ErrorCode = 0
		}
		if req.IncludeAuthorizedOperations && a.ErrorCode == 0 {
			a.AuthorizedOperations = groupOperations
		}
		resp.Groups = append(resp.Groups, a)
	}
	return resp
}

func (g *Groups) describeGroup(ctx context.Context, id string) (kmsg.DescribeGroupsResponseGroup, error) {
	a := kmsg.NewDescribeGroupsResponseGroup()
	a.Group, a.Members = id, []kmsg.DescribeGroupsResponseGroupMember{}
	s, err := g.loaded(ctx, id)
	if err != nil {
		return a, err
	}
	f, err := consumergroup.FactsAt(g.image(), id)
	if err != nil {
		return a, err
	}
	switch f := f.(type) {
	case *consumergroup.ClassicFacts:
		describeClassic(&a, f)
	default:
		if !s.has(id) {
			a.State = consumergroup.Dead.String()
			return a, fmt.Errorf("%w: %q", metadata.ErrGroupIDNotFound, id)
		}
		a.State = consumergroup.Empty.String()
	}
	return a, nil
}

func describeClassic(g *kmsg.DescribeGroupsResponseGroup, f *consumergroup.ClassicFacts) {
	g.State, g.ProtocolType = f.StateName(), f.ProtocolType
	stable := f.State == consumergroup.Stable
	if stable {
		g.Protocol = f.Protocol
	}
	for _, m := range f.Members {
		a := kmsg.NewDescribeGroupsResponseGroupMember()
		a.MemberID, a.ClientID, a.ClientHost = m.ID, m.ClientID, m.ClientHost
		a.ProtocolMetadata, a.MemberAssignment = []byte{}, []byte{}
		if m.Instance != "" {
			a.InstanceID = &m.Instance
		}
		if i := slices.IndexFunc(m.Protocols, func(p consumergroup.Protocol) bool { return p.Name == f.Protocol }); stable && i >= 0 {
			a.ProtocolMetadata, a.MemberAssignment = []byte(m.Protocols[i].Metadata), []byte(m.Assignment)
		}
		g.Members = append(g.Members, a)
	}
}
