package replication

import (
	"errors"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// readFailed takes account of a read of the own log that failed in leader epoch
// `epoch`, and returns what to answer.
//
// A disk that fails takes the broker down. So does one that returns what was never
// written to it, as soon as somebody else can lead: the broker stops, checks all
// that it has at its next start, and refetches what is damaged, while clients go on
// from the new leader. A leader that is alone in the ISR is the best there is. It
// goes on, and answers CORRUPT_MESSAGE where the damage is and nowhere else. So does a
// follower that nobody leads.
func (r *Replica) readFailed(err error, epoch int32) error {
	damage, ok := errors.AsType[*partition.CorruptError](err)
	switch {
	case !ok:
		if diskBroke(err) {
			r.failed(err)
		}
	case r.mayResign(epoch):
		r.damaged(damage, epoch, false)
		r.failed(damage)
		return fmt.Errorf("%s: %w: %s", r, metadata.ErrStorage, damage.Error()) // the client is to look for the next leader
	default:
		r.damaged(damage, epoch, true)
	}
	return fmt.Errorf("%s: %w", r, err)
}

// distrust has the next start read and check all of a log that turned out to be damaged,
// if the log would not do so by itself.
func (r *Replica) distrust(err error) error {
	if _, damaged := errors.AsType[*partition.CorruptError](err); !damaged {
		return err
	}
	return errors.Join(err, r.cfg.Log.Distrust())
}

// mayResign reports whether in this epoch the partition can do without this replica: it
// leads and somebody can take over, or it follows somebody.
func (r *Replica) mayResign(epoch int32) bool {
	at := r.moment(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state.LeaderEpoch != epoch:
		return false
	case r.role == Leading:
		return r.leader.MayResign(at)
	case r.role == Following:
		leader, ok := at.Brokers.Broker(r.state.Leader)
		return ok && leader.Active()
	}
	return false
}

// leaveDamaged has a replica that went on in spite of damage, because nobody had better,
// leave as soon as somebody has.
func (r *Replica) leaveDamaged() {
	r.mu.Lock()
	damage, epoch := r.damage, r.state.LeaderEpoch
	r.mu.Unlock()
	if damage != nil && r.mayResign(epoch) {
		r.failed(damage)
	}
}

// damaged tells of damage, once.
func (r *Replica) damaged(damage *partition.CorruptError, epoch int32, stays bool) {
	r.mu.Lock()
	known := r.damage != nil && *r.damage == *damage
	r.damage = damage
	r.mu.Unlock()
	r.stir()
	if !known {
		r.emit(event.LogDamaged, epoch, map[string]any{"error": damage, "stays": stays})
	}
}

// MayResign reports whether the partition gets another leader if this one stops now: a
// member of the committed ISR, which has all that is committed, on a live broker.
func (l *Leader) MayResign(at Moment) bool {
	for _, f := range l.followers {
		if b, ok := at.Brokers.Broker(f.broker); ok && b.Active() && l.inISR(f.broker) {
			return true
		}
	}
	return false
}
