package consumergroup

import (
	"fmt"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// A Commit is who commits offsets.
type Commit struct {
	MemberID, Instance string
	// Generation is -1 for who takes no part in the group: an administrator, or a
	// simple consumer.
	Generation int32
	// Transactional commits may come from clients that name no member, and in any state.
	Transactional bool
}

// CheckCommit is the fence: whether a commit may be appended, by the facts that
// the group's broker has replayed, under the lock that appends it. Errors:
//   - ErrGroupIDNotFound: no such group. Before version 9 of OffsetCommit clients are
//     told ErrIllegalGeneration.
//   - ErrUnknownMemberID, ErrFencedInstanceID, ErrIllegalGeneration: of who is no
//     member, has been replaced, or is in another generation.
//   - ErrRebalanceInProgress: the generation is not assigned yet.
func CheckCommit(f Facts, c Commit) error {
	if f != nil {
		return f.checkCommit(c)
	}
	if c.Generation < 0 {
		return nil // a simple consumer needs no group
	}
	return fmt.Errorf("commit of %q: %w", c.MemberID, metadata.ErrGroupIDNotFound)
}

// CheckHeartbeat is what a member's heartbeat is answered by the facts that the group's
// broker has replayed, while nobody can be asked who decides. Errors: ErrUnknownMemberID,
// ErrFencedInstanceID, ErrIllegalGeneration, ErrRebalanceInProgress.
func CheckHeartbeat(f Facts, h Heartbeat) error {
	if f == nil {
		return fmt.Errorf("heartbeat of %q: %w", h.MemberID, metadata.ErrUnknownMemberID)
	}
	return f.checkHeartbeat(h)
}

// CheckDelete reports whether the group may be deleted: ErrNonEmptyGroup,
// ErrGroupIDNotFound.
func CheckDelete(f Facts) error {
	if f == nil {
		return metadata.ErrGroupIDNotFound
	}
	return f.checkDelete()
}

// CheckOffsetDelete reports whether offsets of the group may be deleted, one by
// one: ErrNonEmptyGroup, ErrGroupIDNotFound. Of a "consumer" group that has
// members they may where no member subscribes to the topic.
func CheckOffsetDelete(f Facts) error {
	if f == nil {
		return metadata.ErrGroupIDNotFound
	}
	return f.checkOffsetDelete()
}

func (f *ClassicFacts) checkCommit(c Commit) error {
	named := c.Generation >= 0 || c.MemberID != "" || c.Instance != ""
	switch {
	case c.Generation < 0 && f.State == Empty:
		return nil
	case named:
		if err := checkMember(f, c.MemberID, c.Instance); err != nil && guard.MembersOnly.Holds() {
			return err
		}
		if c.Generation != f.Generation && guard.Generation.Holds() {
			return illegalGeneration(c.MemberID, c.Generation, f.Generation)
		}
	case !c.Transactional:
		return fmt.Errorf("a commit without a member id, and the group is %v: %w", f.State, metadata.ErrUnknownMemberID)
	}
	if f.State == CompletingRebalance && !c.Transactional {
		return fmt.Errorf("generation %d is not assigned yet: %w", f.Generation, metadata.ErrRebalanceInProgress)
	}
	return nil
}

func (f *ClassicFacts) checkHeartbeat(h Heartbeat) error {
	if err := checkMember(f, h.MemberID, h.Instance); err != nil {
		return err
	}
	if h.Generation != f.Generation {
		return illegalGeneration(h.MemberID, h.Generation, f.Generation)
	}
	if f.State == PreparingRebalance {
		return fmt.Errorf("generation %d is over: %w", f.Generation, metadata.ErrRebalanceInProgress)
	}
	return nil
}

func (f *ClassicFacts) checkDelete() error {
	if f.State != Empty {
		return fmt.Errorf("the group is %v: %w", f.State, metadata.ErrNonEmptyGroup)
	}
	return nil
}

func (f *ClassicFacts) checkOffsetDelete() error {
	if f.State != Empty && f.ProtocolType != ConsumerProtocolType {
		return fmt.Errorf("the group is %v: %w", f.State, metadata.ErrNonEmptyGroup)
	}
	return nil
}

// ConsumerProtocolType is the protocol type of Kafka's consumers.
const ConsumerProtocolType = "consumer"

// A roster knows who is a member: the facts, or the group that is about to change them.
type roster interface {
	hasMember(id string) bool
	// instance returns the member id of a static member, "" if there is none.
	instance(instance string) string
}

// checkMember reports whether a request is a current member's. Of a static
// member the instance decides: another process may have taken its place.
func checkMember(r roster, id, instance string) error {
	if instance != "" {
		switch current := r.instance(instance); {
		case current == "":
			return fmt.Errorf("instance %q of %q: %w", instance, id, metadata.ErrUnknownMemberID)
		case current != id:
			return fmt.Errorf("instance %q is %q now, not %q: %w", instance, current, id, metadata.ErrFencedInstanceID)
		}
	}
	if !r.hasMember(id) {
		return fmt.Errorf("%q: %w", id, metadata.ErrUnknownMemberID)
	}
	return nil
}

func illegalGeneration(id string, named, current int32) error {
	return fmt.Errorf("%q is in generation %d, the group in %d: %w", id, named, current, metadata.ErrIllegalGeneration)
}

func (f *ClassicFacts) hasMember(id string) bool { return f.find(id) >= 0 }

func (f *ClassicFacts) instance(instance string) string {
	for i := range f.Members {
		if f.Members[i].Instance == instance {
			return f.Members[i].ID
		}
	}
	return ""
}
