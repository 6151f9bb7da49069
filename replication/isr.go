package replication

import (
	"errors"
	"slices"
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// Committed takes a newer state of the partition in the same leader epoch. It
// settles whatever was in flight: a proposal that is not in this state was made
// on top of an older partition epoch and can never be taken any more. An older
// or equal state changes nothing.
func (l *Leader) Committed(state metadata.Partition, at Moment) Consequence {
	if state.PartitionEpoch <= l.state.PartitionEpoch {
		return Consequence{}
	}
	l.state, l.inFlight, l.again, l.doubted = state, nil, false, nil
	l.assign()
	return l.follow(at)
}

// Answered takes the coordinator's answer to a proposal. That it was accepted is
// only believed from the metadata log. An answer to an older proposal changes
// nothing.
func (l *Leader) Answered(p Proposal, err error, at Moment) Consequence {
	if l.inFlight == nil || p.LeaderEpoch != l.inFlight.LeaderEpoch || p.PartitionEpoch != l.inFlight.PartitionEpoch {
		return Consequence{}
	}
	switch {
	case err == nil:
	case errors.Is(err, metadata.ErrIneligibleReplica):
		return Consequence{Propose: l.refused(at)}
	case awaitsMetadata(err):
		// The state has moved on, perhaps to this very proposal, sent twice. Until
		// the metadata log tells, the high watermark goes on waiting for all.
	default:
		l.again = true // nobody knows whether it took effect: ask again
	}
	return Consequence{}
}

// refused gives the proposal in flight up, but not the wait for its members. What
// was sent again for want of an answer arrives twice, in any order: refused while
// a member was fenced, it may still be taken when the member is back, and the
// member elected. So the leader proposes the ISR that there is. Once that is taken,
// the partition epoch has risen, and what was proposed below it is dead. If this was
// such a proposal, the next tick makes another one.
func (l *Leader) refused(at Moment) *Proposal {
	before := len(l.doubted)
	for _, m := range l.inFlight.ISR {
		if m.Broker != l.self && !l.inISR(m.Broker) && !slices.Contains(l.doubted, m.Broker) {
			l.doubted = append(l.doubted, m.Broker)
		}
	}
	l.inFlight = nil
	if len(l.doubted) == before {
		return nil
	}
	return l.propose(at, false)
}

// awaitsMetadata reports whether an answer says that the leader is not up to date.
func awaitsMetadata(err error) bool {
	for _, stale := range []error{
		metadata.ErrInvalidUpdateVersion, metadata.ErrFencedLeaderEpoch, metadata.ErrNewLeaderElected,
		metadata.ErrInvalidRequest, metadata.ErrUnknownTopicOrPartition, metadata.ErrUnknownTopicID,
	} {
		if errors.Is(err, stale) {
			return true
		}
	}
	return false
}

// Tick looks at the clock: who lags leaves the ISR, who became eligible joins it,
// and a proposal of unknown outcome is sent again.
func (l *Leader) Tick(at Moment) Consequence {
	if l.inFlight != nil {
		if !l.again {
			return Consequence{Advanced: l.advance(at)}
		}
		l.again = false
		again := *l.inFlight
		return Consequence{Advanced: l.advance(at), Propose: &again}
	}
	advanced := l.advance(at)
	return Consequence{Advanced: advanced, Propose: l.propose(at, true)}
}

// propose returns the ISR that should be, if it differs from the one that is or
// the partition epoch has to rise, and nothing is in flight: with everybody who can
// join and, if shrink, without those who lag.
func (l *Leader) propose(at Moment, shrink bool) *Proposal {
	if l.inFlight != nil {
		return nil
	}
	isr := make([]ISRMember, 0, 8) // does not escape unless something changed
	changed := l.state.Recovering || len(l.doubted) > 0
	for _, broker := range l.state.Replicas {
		f := l.follower(broker)
		switch member := l.inISR(broker); {
		case f == nil:
			isr = append(isr, ISRMember{Broker: broker, Epoch: l.settings.SelfEpoch})
		case member && shrink && l.lags(f, at):
			changed = true
		case member:
			isr = append(isr, ISRMember{Broker: broker, Epoch: f.brokerEpoch})
		case l.mayJoin(f, at):
			isr = append(isr, ISRMember{Broker: broker, Epoch: f.brokerEpoch})
			changed = true
		}
	}
	if !changed {
		return nil
	}
	l.again = false
	l.inFlight = &Proposal{
		ID: l.id, LeaderEpoch: l.state.LeaderEpoch, PartitionEpoch: l.state.PartitionEpoch,
		ISR: slices.Clone(isr), Recovered: true,
	}
	p := *l.inFlight
	return &p
}

// mayJoin reports whether a follower that is not in the ISR has earned its place:
//   - it fetched in this leader epoch, so its log is known to be a prefix of the leader's;
//   - it has all that is committed. A new leader may not know how much that is, but
//     it is nothing past the start of its epoch (KAFKA-7128);
//   - below min ISR the high watermark stands still and says little, so it must
//     also not be one that would be thrown out again at once (KAFKA-19996);
//   - it has deleted what the leader has: elected, it would bring back records that
//     a DeleteRecords was answered for;
//   - its broker is alive, and the one that fetched (KIP-841, KIP-903);
//   - no proposal with it is in doubt.
func (l *Leader) mayJoin(f *follower, at Moment) bool {
	return f.logEnd >= l.hw && f.brokerEpoch >= 0 &&
		(f.logEnd >= l.epochStart || !guard.PastEpochStart.Holds()) &&
		(f.logStart >= l.logStart || !guard.JoinTrimmed.Holds()) &&
		(!l.UnderMinISR() || !l.lags(f, at)) &&
		eligible(f, at.Brokers) && !slices.Contains(l.doubted, f.broker)
}

// joinsSoon reports whether the high watermark should wait for a follower that
// is not in the ISR: it has caught up and nothing keeps it out. Without this the
// high watermark would run away from a follower that is one fetch behind for
// ever. A broker that is shutting down is not waited for (KAFKA-15021).
func (l *Leader) joinsSoon(f *follower, at Moment) bool {
	return !f.caughtUp.IsZero() && !l.lags(f, at) && eligible(f, at.Brokers)
}

// lags reports whether a follower misses records and has for too long.
func (l *Leader) lags(f *follower, at Moment) bool {
	return f.logEnd != l.logEnd && at.Now.Sub(f.caughtUp) > l.settings.LagTimeMax
}

// eligible reports whether the broker that fetched may be in an ISR: active, and
// registered under the epoch that it fetched with.
func eligible(f *follower, brokers Brokers) bool {
	b, ok := brokers.Broker(f.broker)
	return ok && b.Active() && b.Epoch == f.brokerEpoch
}

func (l *Leader) inISR(broker int32) bool { return slices.Contains(l.state.ISR, broker) }

// inMaximalISR reports whether the broker is in the ISR or proposed for it. A
// proposal may have been taken already and its member elected, before the leader
// hears of either; so the high watermark never passes anybody in it (KIP-497).
func (l *Leader) inMaximalISR(broker int32) bool {
	if l.inISR(broker) {
		return true
	}
	proposed := l.inFlight != nil && l.inFlight.contains(broker) || slices.Contains(l.doubted, broker)
	return proposed && guard.MaximalISR.Holds()
}

// MaximalISR returns the brokers that are in the ISR or proposed for it, in the
// order of assignment.
func (l *Leader) MaximalISR() []int32 {
	isr := make([]int32, 0, len(l.state.Replicas))
	for _, broker := range l.state.Replicas {
		if broker == l.self || l.inMaximalISR(broker) {
			isr = append(isr, broker)
		}
	}
	return isr
}

// Followers returns what the leader knows of each follower.
func (l *Leader) Followers() []FollowerStatus {
	status := make([]FollowerStatus, 0, len(l.followers))
	for _, f := range l.followers {
		caughtUp := f.caughtUp
		if f.logEnd < 0 {
			caughtUp = time.Time{}
		}
		status = append(status, FollowerStatus{
			Broker: f.broker, LogStart: f.logStart, LogEndOffset: f.logEnd, LastCaughtUp: caughtUp, InSync: l.inISR(f.broker),
		})
	}
	return status
}
