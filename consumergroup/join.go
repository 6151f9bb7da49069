package consumergroup

import (
	"errors"
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// join takes a Join: refuses it, gives out a member id, answers with the
// generation that there is, or has it wait for the next one.
func (g *ClassicGroup) join(r Join) {
	r.RebalanceTimeout = max(r.RebalanceTimeout, 0)
	again := false
	if r.MemberID == "" && guard.OneMember.Holds() {
		// The answer was lost, and the group's broker asks again for the same member.
		again = g.hasMember(r.NewMemberID)
		if again {
			r.MemberID = r.NewMemberID
		}
	}
	err := g.mayJoin(r)
	if errors.Is(err, metadata.ErrGroupMaxSizeReached) {
		g.turnAway(r.MemberID)
		r.MemberID = ""
	}
	if err != nil {
		g.answer(r.Token, err, JoinReply{MemberID: r.MemberID})
		return
	}
	switch m := g.byID[r.MemberID]; {
	case r.MemberID == "" && r.Instance != "":
		g.joinStatic(r)
	case r.MemberID == "" && r.IDRequired:
		g.giveID(r)
	case r.MemberID == "":
		g.add(r, r.NewMemberID)
	case g.isPending(r.MemberID):
		g.add(r, r.MemberID)
	case again && g.state == Stable && r.Instance != "":
		g.answer(r.Token, nil, g.returning(m, r.SkipsAssignment))
	default:
		g.rejoin(r, m)
	}
}

// mayJoin checks a Join, in Kafka's order.
func (g *ClassicGroup) mayJoin(r Join) error {
	switch {
	case r.tooLong():
		return fmt.Errorf("a string of more than %d bytes: %w", maxString, metadata.ErrInvalidRequest)
	case r.SessionTimeout < g.config.MinSessionTimeout || r.SessionTimeout > g.config.MaxSessionTimeout:
		return fmt.Errorf("a session of %v, allowed are %v to %v: %w",
			r.SessionTimeout, g.config.MinSessionTimeout, g.config.MaxSessionTimeout, metadata.ErrInvalidSessionTimeout)
	case g.state == Dead:
		return metadata.ErrCoordinatorNotAvailable
	case r.MemberID != "" && !g.exists:
		return fmt.Errorf("%q: %w", r.MemberID, metadata.ErrUnknownMemberID)
	case !g.hasRoom(r.MemberID):
		return fmt.Errorf("%d members: %w", len(g.members), metadata.ErrGroupMaxSizeReached)
	case !g.supports(r.ProtocolType, r.Protocols):
		return fmt.Errorf("type %q, group has %q: %w", r.ProtocolType, g.protocolType, metadata.ErrInconsistentGroupProtocol)
	case r.MemberID == "" || g.isPending(r.MemberID):
		return nil
	}
	return checkMember(g, r.MemberID, r.Instance)
}

// hasRoom reports whether the group takes this member. While members rejoin those
// who have done so count: if group.max.size was lowered, the last ones are turned away.
func (g *ClassicGroup) hasRoom(id string) bool {
	m := g.byID[id]
	switch g.state {
	case Empty, Dead:
		return true
	case PreparingRebalance:
		return m != nil && m.rejoined() || g.waitingJoins() < g.config.MaxSize
	default:
		return m != nil || len(g.members) < g.config.MaxSize
	}
}

// turnAway forgets who asked to join and finds no room.
func (g *ClassicGroup) turnAway(id string) {
	g.dropPending(id)
	if m := g.byID[id]; m != nil {
		g.remove(NoRoom, m)
	}
	g.completeIfJoined()
}

// giveID has a new dynamic member join again with an id, so that one that never
// hears its answer leaves nothing behind (KIP-394).
func (g *ClassicGroup) giveID(r Join) {
	g.dropPending(r.NewMemberID) // asked again
	g.pending = append(g.pending, pendingMember{r.NewMemberID, g.now.Add(r.SessionTimeout)})
	if !g.exists {
		g.since = g.now.UnixMilli()
		g.record(g.formed())
	}
	g.answer(r.Token, metadata.ErrMemberIDRequired, JoinReply{MemberID: r.NewMemberID})
}

// add takes a new member into the next generation.
func (g *ClassicGroup) add(r Join, id string) {
	if len(g.members) == 0 {
		g.protocolType = r.ProtocolType
	}
	g.newcomer = true
	m := &member{isNew: true, deadline: g.now.Add(newMemberJoinTimeout)}
	m.ID, m.Instance, m.ClientID, m.ClientHost = id, r.Instance, r.ClientID, r.ClientHost
	g.insert(m)
	g.update(m, r)
	g.rebalance(Joins, m.ID)
}

// update takes what a Join says of its member, and has the Join wait. An earlier
// one of the same member that still waits is given up.
func (g *ClassicGroup) update(m *member, r Join) {
	if m.join != 0 {
		g.answer(m.join, metadata.ErrRebalanceInProgress, JoinReply{MemberID: m.ID})
	}
	m.Protocols, m.SessionTimeout, m.RebalanceTimeout = slices.Clone(r.Protocols), r.SessionTimeout, r.RebalanceTimeout
	m.join = r.Token
}

// rejoin takes the Join of a member. Who brings nothing new is told the generation
// that there is (its answer may have been lost). The group leader always
// brings something: it rejoins because it sees that the topics have changed.
func (g *ClassicGroup) rejoin(r Join, m *member) {
	unchanged := slices.Equal(m.Protocols, r.Protocols)
	switch {
	case g.state == CompletingRebalance && unchanged,
		g.state == Stable && unchanged && g.leader != m.ID:
		g.answer(r.Token, nil, g.joined(m, g.state == CompletingRebalance))
	default:
		g.update(m, r)
		g.rebalance(Changes, m.ID)
	}
}

// joined is the answer to who is in the generation. The group leader, if it is to
// assign, hears of all members.
func (g *ClassicGroup) joined(m *member, assigns bool) JoinReply {
	r := JoinReply{
		MemberID: m.ID, Generation: g.generation, ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader,
	}
	if assigns && g.leader == m.ID {
		r.Members = g.roll()
	}
	return r
}

// roll lists the members for the group leader.
func (g *ClassicGroup) roll() []JoinedMember {
	roll := make([]JoinedMember, 0, len(g.members))
	for _, m := range g.members {
		metadata, _ := m.metadata(g.protocol)
		roll = append(roll, JoinedMember{m.ID, m.Instance, metadata})
	}
	return roll
}
