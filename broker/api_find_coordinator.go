package broker

// FindCoordinator (key 10), versions 0 to 6: which broker is the group's, that is, leads
// its partition of __consumer_offsets. The first one who asks has that topic made, and the
// answer waits for it. While the partition has no leader it is COORDINATOR_NOT_AVAILABLE.
//
// Left out: transactions, refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED as
// InitProducerId does, so that clients say so and do not ask for ever; share groups (version
// 6), INVALID_REQUEST.
//
// Versions: 1 type of the key, messages; 3 flexible; 4 several keys (KIP-699), each with an answer of
// its own; 6 share groups.

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/broker/groups"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// The types of keys.
const (
	groupKey       = 0
	transactionKey = 1
)

func (b *Broker) findCoordinator(ctx context.Context, r *wire.Request, req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	err := checkKeyType(req.CoordinatorType)
	if err == nil {
		err = b.groups.EnsureTopic(ctx)
	}
	keys := req.CoordinatorKeys
	if req.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	for _, key := range keys {
		resp.Coordinators = append(resp.Coordinators, b.coordinatorOf(r, key, err))
	}
	if req.Version < 4 {
		one := resp.Coordinators[0]
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = one.ErrorCode, one.ErrorMessage, one.NodeID, one.Host, one.Port
		resp.Coordinators = nil
	}
	return resp
}

func checkKeyType(kind int8) error {
	switch kind {
	case groupKey:
		return nil
	case transactionKey:
		return fmt.Errorf("%w: there are no transactions here", metadata.ErrTransactionalIDAuthorizationFailed)
	}
	return fmt.Errorf("%w: keys of type %d are not known here", metadata.ErrInvalidRequest, kind)
}

// coordinatorOf answers for one key.
func (b *Broker) coordinatorOf(r *wire.Request, group string, err error) kmsg.FindCoordinatorResponseCoordinator {
	a := kmsg.NewFindCoordinatorResponseCoordinator()
	a.Key = group
	d := describer{image: b.image(), listener: r.Conn.Listener()}
	var endpoint metadata.Endpoint
	id := metadata.NoLeader
	if err == nil {
		var ok bool
		if id, ok = groups.BrokerOf(d.image, group); ok {
			_, endpoint, ok = d.reached(id)
		}
		if !ok {
			err = fmt.Errorf("%w: no broker leads the partition of group %q", metadata.ErrCoordinatorNotAvailable, group)
		}
	}
	if err != nil {
		message := err.Error()
		a.NodeID, a.Port, a.ErrorCode, a.ErrorMessage = -1, -1, wire.Code(err), &message
		return a
	}
	a.NodeID, a.Host, a.Port = id, endpoint.Host, endpoint.Port
	return a
}
