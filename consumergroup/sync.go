package consumergroup

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// sync takes a Sync: it waits for the group leader's, which ends the rebalance.
func (g *ClassicGroup) sync(r Sync) {
	if err := g.maySync(r); err != nil {
		g.answer(r.Token, err, nil)
		return
	}
	m := g.byID[r.MemberID]
	m.unsynced = false
	if m.sync != 0 {
		g.dismissSync(m) // asked again
	}
	if g.state == CompletingRebalance {
		m.sync = r.Token
		if g.leader == m.ID {
			g.assign(r.Assignments)
		}
	} else {
		g.renew(m)
		g.answer(r.Token, nil, g.assigned(m))
	}
	if !g.awaitsSync() {
		g.syncDeadline = time.Time{}
	}
}

// maySync checks a Sync, in Kafka's order.
func (g *ClassicGroup) maySync(r Sync) error {
	switch {
	case g.state == Dead:
		return metadata.ErrCoordinatorNotAvailable
	case !g.exists || g.state == Empty:
		return fmt.Errorf("%q, and nobody is a member: %w", r.MemberID, metadata.ErrUnknownMemberID)
	}
	if err := checkMember(g, r.MemberID, r.Instance); err != nil {
		return err
	}
	switch {
	case r.Generation != g.generation:
		return illegalGeneration(r.MemberID, r.Generation, g.generation)
	case r.ProtocolType != "" && r.ProtocolType != g.protocolType, r.Protocol != "" && r.Protocol != g.protocol:
		return fmt.Errorf("%s/%s, the generation has %s/%s: %w",
			r.ProtocolType, r.Protocol, g.protocolType, g.protocol, metadata.ErrInconsistentGroupProtocol)
	case g.state == PreparingRebalance:
		return fmt.Errorf("generation %d is over: %w", g.generation, metadata.ErrRebalanceInProgress)
	}
	return nil
}

// assign takes what the group leader assigned. Whom it left out gets nothing;
// whom it made up is left out.
func (g *ClassicGroup) assign(assignments []Assignment) {
	given := make(map[string]string, len(assignments))
	for _, a := range assignments {
		given[a.Member] = a.Bytes
	}
	fact := Assigned{make([]Assignment, 0, len(g.members))}
	for _, m := range g.members {
		m.Assignment = given[m.ID]
		fact.Assignments = append(fact.Assignments, Assignment{m.ID, m.Assignment})
	}
	g.state = Stable
	g.record(fact)
	for _, m := range g.members {
		if m.sync != 0 {
			g.renew(m)
			g.answer(m.sync, nil, g.assigned(m))
			m.sync = 0
		}
	}
}

func (g *ClassicGroup) assigned(m *member) SyncReply {
	return SyncReply{g.protocolType, g.protocol, m.Assignment}
}

func (g *ClassicGroup) awaitsSync() bool {
	for _, m := range g.members {
		if m.unsynced {
			return true
		}
	}
	return false
}
