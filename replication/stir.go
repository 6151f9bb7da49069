package replication

// stir says that Tick has something to look at, once until the next Tick. What it is
// about has happened before the call: either Tick still sees it, or it is said anew.
func (r *Replica) stir() {
	if r.cfg.Stirred != nil && !r.stirred.Load() && r.stirred.CompareAndSwap(false, true) {
		r.cfg.Stirred()
	}
}

// restlessLocked reports whether time alone may change something here.
func (r *Replica) restlessLocked(at Moment) bool {
	return r.pending || r.damage != nil || r.role == Leading && r.leader.Restless(at)
}

// Restless reports whether Tick may have something to do as time passes, with nothing
// else happening: somebody is behind or may join the ISR, or a proposal is under way. Of
// a follower that is out of the ISR and not eligible nothing can be said before it
// fetches, or its broker's registration changes.
func (l *Leader) Restless(at Moment) bool {
	if l.inFlight != nil || l.state.Recovering || len(l.doubted) > 0 || l.hw < l.logEnd {
		return true
	}
	for i := range l.followers {
		f := &l.followers[i]
		even := f.logEnd == l.logEnd && f.logStart == l.logStart
		if member := l.inISR(f.broker); member && !even || !member && eligible(f, at.Brokers) {
			return true
		}
	}
	return false
}
