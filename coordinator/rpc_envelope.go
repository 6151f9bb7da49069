package coordinator

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// Envelope (58), version 0: a client's request that a broker passes on, and the
// answer for the client (KIP-590). The error of the envelope itself is for the
// broker: NOT_CONTROLLER makes it try the next node. Left out: the principal.

func (a *active) envelope(req *kmsg.EnvelopeRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.EnvelopeResponse)
	h, body, err := wire.DecodeRequest(req.RequestData)
	if err != nil {
		resp.ErrorCode = wire.Code(fmt.Errorf("%w: %w", metadata.ErrInvalidRequest, err))
		return resp
	}
	inner, err := a.admin(body)
	if err != nil {
		resp.ErrorCode = wire.Code(err)
		return resp
	}
	// Without the length that begins a frame: the envelope knows it.
	resp.ResponseData = wire.AppendResponse(nil, h.CorrelationID, inner)[4:]
	return resp
}

// admin carries out what a client asked for. The error speaks for the whole of it.
func (a *active) admin(body kmsg.Request) (kmsg.Response, error) {
	switch req := body.(type) {
	case *kmsg.CreateTopicsRequest:
		return a.createTopics(req)
	case *kmsg.DeleteTopicsRequest:
		return a.deleteTopics(req)
	case *kmsg.ElectLeadersRequest:
		return a.electLeaders(req)
	}
	return nil, fmt.Errorf("%w: API key %d in an envelope", metadata.ErrUnsupportedVersion, body.Key())
}
