package coordinator

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// BrokerHeartbeat (63), versions 0 to 2: a sign of life, how far the broker has
// come with the metadata log, and what it wants. CurrentMetadataOffset is the
// newest offset that it has applied. Left out: failed log directories.

// A step is what a heartbeat makes the coordinator do with a broker.
type step int8

const (
	stay          step = iota // the broker stays as it is
	unfence                   // it has caught up
	fence                     // it asked for it
	beginShutdown             // it asked for that
	letGo                     // nothing depends on it any more: it may end
)

// nextStep decides what a heartbeat leads to. free reports whether a broker in
// controlled shutdown may go.
func nextStep(b metadata.Broker, req *kmsg.BrokerHeartbeatRequest, free func() bool) step {
	switch {
	case b.Fenced && req.WantShutdown:
		return letGo
	case b.Fenced && !req.WantFence && req.CurrentMetadataOffset >= b.Epoch:
		return unfence
	case b.Fenced:
		return stay
	case req.WantFence:
		return fence
	case b.ShuttingDown && free():
		return letGo
	case req.WantShutdown && !b.ShuttingDown:
		return beginShutdown
	}
	return stay
}

// heartbeat answers at once unless something must be committed first.
func (a *active) heartbeat(r *wire.Request, req *kmsg.BrokerHeartbeatRequest, now time.Time) wire.Reply {
	im, newest := a.n.history.latest()
	b, ok := im.Broker(req.BrokerID)
	switch {
	case !ok:
		return heartbeatReply(req, b, false, fmt.Errorf("%w: %d", metadata.ErrBrokerIDNotRegistered, req.BrokerID))
	case b.Epoch != req.BrokerEpoch:
		return heartbeatReply(req, b, false, fmt.Errorf("%w: %d of broker %d, which is at %d",
			metadata.ErrStaleBrokerEpoch, req.BrokerEpoch, b.ID, b.Epoch))
	}
	a.connected(b.ID, b.Epoch, r.Conn)
	a.groups.alive(b.ID, now)
	a.mu.Lock()
	a.sessions.note(newest, now)
	a.sessions.heartbeat(b.ID, b.Epoch, req.CurrentMetadataOffset, b.Fenced, now)
	a.mu.Unlock()
	s := nextStep(b, req, func() bool { return a.free(im, newest, b) })
	if s == stay {
		return heartbeatReply(req, b, false, nil)
	}
	return a.n.later(r, func() kmsg.Response {
		err := a.take(s, b)
		if now, ok := a.n.Image().Broker(b.ID); ok && now.Epoch == b.Epoch {
			b = now
		}
		return heartbeatReply(req, b, s == letGo && err == nil, err).Response
	})
}

func heartbeatReply(req *kmsg.BrokerHeartbeatRequest, b metadata.Broker, letGo bool, err error) wire.Reply {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	resp.IsFenced = b.Fenced
	if resp.ErrorCode = wire.Code(err); err == nil {
		resp.IsCaughtUp = req.CurrentMetadataOffset >= b.Epoch
		resp.ShouldShutdown = letGo
	}
	return wire.Reply{Response: resp}
}

// take carries out a step.
func (a *active) take(s step, b metadata.Broker) error {
	var err error
	switch s {
	case stay:
	case unfence:
		_, err = a.n.propose(a.ctx, state.UnfenceBroker{ID: b.ID, Epoch: b.Epoch})
	case fence:
		_, err = a.n.propose(a.ctx, state.FenceBroker{ID: b.ID, Epoch: b.Epoch, Reason: "it asked to be"})
	case beginShutdown:
		_, err = a.n.propose(a.ctx, state.BeginShutdown{ID: b.ID, Epoch: b.Epoch})
	case letGo:
		if err = a.release(b); err == nil {
			a.mu.Lock()
			a.sessions.end(b.ID, b.Epoch)
			delete(a.leaving, b.ID)
			a.mu.Unlock()
		}
	}
	return err
}

// release makes sure that the cluster does without a broker.
func (a *active) release(b metadata.Broker) error {
	if b.Fenced {
		return a.n.verify(a.ctx)
	}
	_, err := a.n.propose(a.ctx, state.FenceBroker{ID: b.ID, Epoch: b.Epoch, Reason: "it has shut down"})
	return err
}

// free reports whether a broker in controlled shutdown leads nothing, and every
// active broker knows (KIP-841).
func (a *active) free(im *metadata.Image, newest int64, b metadata.Broker) bool {
	if leadsAny(im, b.ID) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	h, ok := a.leaving[b.ID]
	if !ok || h.epoch != b.Epoch {
		h = handover{b.Epoch, newest}
		a.leaving[b.ID] = h
	}
	for _, other := range im.Brokers() {
		if other.Active() && a.sessions.applied(other.ID, other.Epoch) < h.offset {
			return false
		}
	}
	return true
}

func leadsAny(im *metadata.Image, id int32) bool {
	for _, t := range im.Topics() {
		for _, p := range t.Partitions {
			if p.Leader == id {
				return true
			}
		}
	}
	return false
}
