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
		if !r.isPending() || !r.tryTake() {
			return
		}
		r.settle()
	}
}

func (r *Replica) isPending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}
