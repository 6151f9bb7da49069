package groups

// ListGroups (key 16), versions 0 to 5: the groups whose broker this is; clients ask all
// brokers. A group that only committed offsets is there too, Empty and without a
// protocol type. If a partition is still being read, the answer says
// COORDINATOR_LOAD_IN_PROGRESS beside those that are known.
//
// Left out: authorization. Versions: 3 flexible; 4 states, and a filter of them (KIP-518); 5 types,
// and a filter of them (KIP-848).

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/consumergroup"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// ListGroups names the groups whose broker this is.
func (g *Groups) ListGroups(req *kmsg.ListGroupsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	resp.Groups = []kmsg.ListGroupsResponseGroup{}
	im := g.image()
	shards, all := g.led()
	if !all {
		resp.ErrorCode = wire.Code(metadata.ErrCoordinatorLoadInProgress)
	}
	for _, s := range shards {
		for _, id := range s.known(im) {
			a := kmsg.NewListGroupsResponseGroup()
			a.Group, a.GroupState, a.GroupType = id, consumergroup.Empty.String(), consumergroup.Classic.String()
			if f, err := consumergroup.FactsAt(im, id); err == nil && f != nil {
				a.GroupState, a.GroupType, a.ProtocolType = f.StateName(), f.Kind().String(), f.Type()
			}
			if wanted(req.StatesFilter, a.GroupState) && wanted(req.TypesFilter, a.GroupType) {
				resp.Groups = append(resp.Groups, a)
			}
		}
	}
	return resp
}

// wanted reports whether a filter lets a name through; an empty one lets all.
func wanted(filter []string, name string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
}
