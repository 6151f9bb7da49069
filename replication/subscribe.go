package replication

import "slices"

// A Subscriber is told that a replica's log end, high watermark, log start or
// role changed. News is called without locks, from the goroutine that made the
// change, and must not block.
type Subscriber interface {
	News(r *Replica, what Change)
}

// A Change tells subscribers what changed, so that nobody is woken for what does not
// concern them: each record of a leader moves first its log end and later its high
// watermark, and hardly anybody waits for both.
type Change uint8

// What may have changed. Changes come together, too.
const (
	LogEndMoved Change = 1 << iota
	HighWatermarkMoved
	othersChanged

	anyChange = LogEndMoved | HighWatermarkMoved | othersChanged
)

// Subscribe begins to tell s. What happened before the call it must look up itself.
func (r *Replica) Subscribe(s Subscriber) {
	r.resubscribe(func(all []Subscriber) []Subscriber { return append(slices.Clone(all), s) })
}

// Unsubscribe ends it. A call of News that has begun may still be under way.
func (r *Replica) Unsubscribe(s Subscriber) {
	r.resubscribe(func(all []Subscriber) []Subscriber {
		i := slices.Index(all, s)
		if i < 0 {
			return all
		}
		return slices.Delete(slices.Clone(all), i, i+1)
	})
}

// resubscribe replaces the list, which readers never see change.
func (r *Replica) resubscribe(change func([]Subscriber) []Subscriber) {
	for {
		old := r.subscribers.Load()
		var all []Subscriber
		if old != nil {
			all = *old
		}
		next := change(all)
		if r.subscribers.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (r *Replica) notify(what Change) {
	r.stir()
	if all := r.subscribers.Load(); all != nil {
		for _, s := range *all {
			s.News(r, what)
		}
	}
}
