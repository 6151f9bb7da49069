package coordinator

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/wire"
)

// AllocateProducerIds (67), version 0: a block of producer ids that no other
// broker gets (KIP-730).

const producerIDBlock = 1000

func (a *active) allocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) kmsg.Response {
	r, err := a.n.propose(a.ctx, state.AllocateProducerIDs{Broker: req.BrokerID, BrokerEpoch: req.BrokerEpoch, Count: producerIDBlock})
	if err != nil {
		return wire.ErrorAnswer(req, wire.Code(err))
	}
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	resp.ProducerIDStart, resp.ProducerIDLen = r.FirstProducerID, producerIDBlock
	return resp
}
