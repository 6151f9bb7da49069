package coordinator

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// BrokerRegistration (62), versions 0 to 4. The answer's broker epoch is the
// metadata offset of the registration. A retry by the same process gets the epoch
// that it has. Left out: features and log directories, which are not looked at.

const (
	maxListeners  = 16
	maxNameLength = 255
)

func (a *active) register(conn *wire.Conn, req *kmsg.BrokerRegistrationRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = -1
	epoch, err := a.registered(conn, req)
	if err != nil {
		a.n.logger.Info("a registration is refused", "broker", req.BrokerID, "error", err)
		resp.ErrorCode = wire.Code(err)
		return resp
	}
	resp.BrokerEpoch = epoch
	return resp
}

func (a *active) registered(conn *wire.Conn, req *kmsg.BrokerRegistrationRequest) (epoch int64, err error) {
	b, err := brokerOf(req)
	if err != nil {
		return 0, err
	}
	im := a.n.Image()
	if req.ClusterID != im.ClusterID() {
		return 0, fmt.Errorf("%w: this is %s, broker %d is of %s", metadata.ErrInconsistentClusterID, im.ClusterID(), b.ID, req.ClusterID)
	}
	if old, ok := im.Broker(b.ID); ok && old.Incarnation != b.Incarnation {
		if err := a.replace(old, b, time.Now()); err != nil {
			return 0, err
		}
	}
	previous := int64(-1)
	if req.Version >= 3 {
		previous = req.PreviousBrokerEpoch
	}
	r, err := a.n.propose(a.ctx, state.RegisterBroker{Broker: b, PreviousEpoch: previous})
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	a.sessions.begin(b.ID, r.BrokerEpoch, time.Now())
	a.mu.Unlock()
	a.connected(b.ID, r.BrokerEpoch, conn)
	return r.BrokerEpoch, nil
}

// replace sees to the process that held the broker's id before: it must be gone.
func (a *active) replace(old, now metadata.Broker, at time.Time) error {
	a.mu.Lock()
	epoch, live := a.sessions.alive(old.ID, at)
	heard := a.conns[old.ID] != nil
	a.mu.Unlock()
	if live && epoch == old.Epoch && (heard || !sameDoor(old, now)) {
		return fmt.Errorf("%w: another process is broker %d, epoch %d", metadata.ErrDuplicateBrokerRegistration, old.ID, old.Epoch)
	}
	if old.Fenced {
		return nil
	}
	_, err := a.n.propose(a.ctx, state.FenceBroker{ID: old.ID, Epoch: old.Epoch, Reason: "a new process has taken its place"})
	return err
}

// sameDoor reports whether two processes of a broker are reached at one address. Two that
// live cannot be; so if the older one's connection is closed as well, it is gone.
func sameDoor(a, b metadata.Broker) bool {
	x, okX := a.Endpoint(metadata.InternalListener)
	y, okY := b.Endpoint(metadata.InternalListener)
	return okX && okY && x == y
}

func brokerOf(req *kmsg.BrokerRegistrationRequest) (metadata.Broker, error) {
	b := metadata.Broker{ID: req.BrokerID, Incarnation: req.IncarnationID}
	if req.Rack != nil {
		b.Rack = *req.Rack
	}
	if b.ID < 0 || b.Incarnation.IsZero() || len(b.Rack) > maxNameLength || len(req.Listeners) > maxListeners {
		return b, fmt.Errorf("%w: the registration of broker %d", metadata.ErrInvalidRequest, b.ID)
	}
	for _, l := range req.Listeners {
		if len(l.Name) > maxNameLength || len(l.Host) > maxNameLength {
			return b, fmt.Errorf("%w: a listener of broker %d", metadata.ErrInvalidRequest, b.ID)
		}
		b.Endpoints = append(b.Endpoints, metadata.Endpoint{Name: l.Name, Host: l.Host, Port: int32(l.Port)})
	}
	if _, ok := b.Endpoint(metadata.InternalListener); !ok {
		return b, fmt.Errorf("%w: broker %d has no listener %s", metadata.ErrInvalidRequest, b.ID, metadata.InternalListener)
	}
	return b, nil
}
