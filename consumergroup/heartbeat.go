package consumergroup

import (
	"fmt"

	"github.com/brokersim/brokersim/metadata"
)

// heartbeat renews a session, and tells the member to rejoin if its generation is over.
func (g *ClassicGroup) heartbeat(r Heartbeat) error {
	if g.state == Dead {
		return metadata.ErrCoordinatorNotAvailable
	}
	if err := checkMember(g, r.MemberID, r.Instance); err != nil {
		return err
	}
	if r.Generation != g.generation {
		return illegalGeneration(r.MemberID, r.Generation, g.generation)
	}
	g.renew(g.byID[r.MemberID])
	if g.state == PreparingRebalance {
		return fmt.Errorf("generation %d is over: %w", g.generation, metadata.ErrRebalanceInProgress)
	}
	return nil
}

// alive renews the session of who has committed.
func (g *ClassicGroup) alive(r Alive) {
	if checkMember(g, r.MemberID, r.Instance) == nil {
		g.renew(g.byID[r.MemberID])
	}
}
