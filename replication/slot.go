package replication

import "context"

// take waits for the log. The caller must release it.
func (r *Replica) take(ctx context.Context) error {
	select {
	case r.slot <- struct{}{}:
		return nil
	default:
	}
	select {
	case r.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Replica) tryTake() bool {
	select {
	case r.slot <- struct{}{}:
		return true
	default:
		return false
	}
}

// release gives the log back and takes the role that was left pending meanwhile.
// Who leaves one behind looked for the slot after saying so; hence one of the two
// always sees the other.
func (r *Replica) release() {
	for {
		<-r.slot
		if !r.mayTakeRole() || !r.tryTake() {
			return
		}
		r.settle()
	}
}

// mayTakeRole reports whether a role is pending that nothing keeps from being taken:
// a batch that is staged belongs to the old one until it is written. Who has staged
// it looks again then.
func (r *Replica) mayTakeRole() bool { return r.isPending() && !r.cfg.Log.Unwritten() }

func (r *Replica) isPending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}
