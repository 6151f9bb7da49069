package state

import (
	"fmt"
	"slices"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// apply registers a broker's process. It starts out fenced, in no ISR.
func (c RegisterBroker) apply(w *work) {
	old, known := w.image.Broker(c.Broker.ID)
	switch {
	case c.Broker.ID < 0 || c.Broker.Incarnation.IsZero():
		w.result.Err = fmt.Errorf("%w: a registration needs an id of at least 0 and an incarnation, broker %d has %v",
			metadata.ErrInvalidRequest, c.Broker.ID, c.Broker.Incarnation)
		return
	case known && old.Incarnation == c.Broker.Incarnation:
		c.again(w, old)
		return
	case known && old.Active():
		w.result.Err = fmt.Errorf("%w: another process of broker %d is registered with epoch %d and not fenced",
			metadata.ErrDuplicateBrokerRegistration, c.Broker.ID, old.Epoch)
		return
	}
	b := metadata.Broker{
		ID: c.Broker.ID, Epoch: w.offset, UnfencedEpoch: -1, Incarnation: c.Broker.Incarnation,
		Rack: c.Broker.Rack, Endpoints: c.Broker.Endpoints, Fenced: true,
	}
	if known {
		b.UnfencedEpoch = old.UnfencedEpoch
	}
	clean := !known || c.nothingLost(old) || !guard.UncleanLeavesISR.Holds()
	w.result.BrokerEpoch, w.result.Clean = b.Epoch, clean
	w.step(b, Registered, "")
	w.leave(b.ID, !clean)
}

// again answers a process that is registered already: it keeps its epoch. Its
// first answer was lost, or it has moved to another address.
func (c RegisterBroker) again(w *work, old metadata.Broker) {
	w.result.BrokerEpoch, w.result.Clean = old.Epoch, true
	if old.Rack == c.Broker.Rack && slices.Equal(old.Endpoints, c.Broker.Endpoints) {
		return
	}
	old.Rack, old.Endpoints = c.Broker.Rack, c.Broker.Endpoints
	w.setBroker(old)
}

// nothingLost is the restart rule (KIP-966): the process before proved, by leaving
// its epoch behind, that the disk holds all that it ever told anyone. An epoch
// older than the last unfenced one proves nothing: the broker was a member since.
func (c RegisterBroker) nothingLost(old metadata.Broker) bool {
	return c.PreviousEpoch >= 0 && old.UnfencedEpoch <= c.PreviousEpoch && c.PreviousEpoch <= old.Epoch
}

// leave takes a broker out of every ISR; one that lost data out of every ELR too.
func (w *work) leave(id int32, lost bool) {
	who := metadata.NoLeader
	if lost {
		who = id
	}
	w.each(func(p metadata.Partition) (wish, bool) {
		in := slices.Contains(p.ISR, id)
		if !in && !(lost && slices.Contains(p.ELR, id)) {
			return wish{}, false
		}
		isr := p.ISR
		if in {
			isr = without(p.ISR, []int32{id})
		}
		return wish{isr: isr, lost: who}, true
	})
}

// current returns the broker if epoch is that of its registration; if not, the
// command came late and nothing is to be done.
func (w *work) current(id int32, epoch int64) (metadata.Broker, bool) {
	b, known := w.image.Broker(id)
	switch {
	case !known:
		w.result.Err = fmt.Errorf("%w: broker %d", metadata.ErrBrokerIDNotRegistered, id)
	case b.Epoch != epoch:
		w.result.Err = fmt.Errorf("%w: broker %d has %d, not %d", metadata.ErrStaleBrokerEpoch, id, b.Epoch, epoch)
	default:
		return b, true
	}
	return b, false
}

// apply ends a session: the broker leaves every ISR and whatever it led gets
// another leader, all in this one command.
func (c FenceBroker) apply(w *work) {
	b, ok := w.current(c.ID, c.Epoch)
	if !ok || b.Fenced {
		return
	}
	b.Fenced = true
	w.step(b, Fenced, c.Reason)
	w.leave(b.ID, false)
}

// apply lets a broker take part. Partitions without a leader are tried anew. A
// broker that is shutting down does not come back under the same epoch.
func (c UnfenceBroker) apply(w *work) {
	b, ok := w.current(c.ID, c.Epoch)
	if !ok || !b.Fenced || b.ShuttingDown {
		return
	}
	b.Fenced, b.UnfencedEpoch = false, b.Epoch
	w.step(b, Unfenced, "")
	w.each(func(p metadata.Partition) (wish, bool) { return keep(p), p.Leader == metadata.NoLeader })
}

// apply begins a controlled shutdown (KIP-841): the broker leaves every ISR and
// leads nothing from here on. Where it was the last one in sync the partition has
// no leader until the broker is back: it stays eligible, and nobody else is.
func (c BeginShutdown) apply(w *work) {
	b, ok := w.current(c.ID, c.Epoch)
	if !ok || b.ShuttingDown {
		return
	}
	b.ShuttingDown = true
	w.step(b, ShuttingDown, "")
	w.leave(b.ID, false)
}

// apply gives a broker the next ids that nobody has.
func (c AllocateProducerIDs) apply(w *work) {
	if _, ok := w.current(c.Broker, c.BrokerEpoch); !ok {
		return
	}
	if c.Count < 1 {
		w.result.Err = fmt.Errorf("%w: a block of %d producer ids", metadata.ErrInvalidRequest, c.Count)
		return
	}
	first := w.image.NextProducerID()
	next := first + int64(c.Count)
	if next < first {
		w.result.Err = fmt.Errorf("%w: all producer ids are given out", metadata.ErrUnknownServer)
		return
	}
	w.result.FirstProducerID = first
	w.result.Deltas = append(w.result.Deltas, metadata.ProducerIDsAllocated{Next: next})
}
