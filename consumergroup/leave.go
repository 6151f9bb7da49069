package consumergroup

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/metadata"
)

// leave ends memberships, many at a time. One rebalance follows for all of them.
func (g *ClassicGroup) leave(r Leave) {
	if g.state == Dead {
		g.answer(r.Token, metadata.ErrCoordinatorNotAvailable, nil)
		return
	}
	results := make(LeaveReply, 0, len(r.Members))
	var gone []*member
	for _, who := range r.Members {
		m, err := g.leaver(who)
		if err == nil && slices.Contains(gone, m) {
			err = fmt.Errorf("%q left twice: %w", m.ID, metadata.ErrUnknownMemberID)
		}
		if err == nil && m != nil {
			gone = append(gone, m)
		}
		results = append(results, LeaveResult{who, err})
	}
	if len(gone) > 0 {
		g.remove(Leaves, gone...)
		if g.state == Stable || g.state == CompletingRebalance {
			g.prepareRebalance(Leaves, gone[0].ID)
		}
	}
	g.completeIfJoined()
	g.answer(r.Token, nil, results)
}

// leaver returns who is to leave; nil, and no error, for one that was given an id
// only and is forgotten. An administrator names the instance and no member id.
func (g *ClassicGroup) leaver(who Leaver) (*member, error) {
	switch {
	case who.MemberID == "":
		who.MemberID = g.instance(who.Instance)
		if who.Instance == "" || who.MemberID == "" {
			return nil, fmt.Errorf("instance %q: %w", who.Instance, metadata.ErrUnknownMemberID)
		}
	case g.isPending(who.MemberID):
		g.dropPending(who.MemberID)
		return nil, nil
	}
	if err := checkMember(g, who.MemberID, who.Instance); err != nil {
		return nil, err
	}
	return g.byID[who.MemberID], nil
}

// delete ends the group if nobody is in it. Its offsets are gone by then.
func (g *ClassicGroup) delete() error {
	switch {
	case g.state == Dead || !g.exists:
		return metadata.ErrGroupIDNotFound
	case g.state != Empty:
		return fmt.Errorf("the group is %v: %w", g.state, metadata.ErrNonEmptyGroup)
	}
	g.state, g.pending = Dead, nil
	g.record(Deleted{})
	return nil
}
