package broker

// InitProducerId (key 22), versions 0 to 5: a producer id for an idempotent
// producer, which most clients ask for by default. Ids come from a block that the
// coordinator gave to this broker.
//
// Left out: transactions. A transactional id is refused with
// TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which every client reports at once and
// none retries.
//
// Versions: 2 flexible; 3 the id and epoch that the producer has (KIP-360): an
// idempotent producer simply gets a new id.

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerIDWait bounds the wait for a new block.
const producerIDWait = 5 * time.Second

func (b *Broker) initProducerID(ctx context.Context, req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerEpoch = -1
	switch {
	case req.TransactionalID != nil && *req.TransactionalID == "",
		(req.ProducerID < 0) != (req.ProducerEpoch < 0):
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	case req.TransactionalID != nil:
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return resp
	}
	ctx, cancel := context.WithTimeout(ctx, producerIDWait)
	defer cancel()
	id, err := b.producerID(ctx)
	if err != nil {
		b.cfg.Logger.Warn("no producer id", "error", err)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code // as Kafka: clients try again
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}
