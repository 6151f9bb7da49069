package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// forward has the active coordinator carry out a client's request (KIP-590): the
// whole request, header and all, travels inside an Envelope and so does its answer.
func forward(ctx context.Context, send func(context.Context, kmsg.Request) (kmsg.Response, error), req kmsg.Request) (kmsg.Response, error) {
	frame := wire.AppendRequest(nil, wire.Header{}, req) // one request, one answer: no correlation id is needed
	envelope := kmsg.NewPtrEnvelopeRequest()
	envelope.RequestData = frame[4:]
	resp, err := send(ctx, envelope)
	if err != nil {
		return nil, err
	}
	r, ok := resp.(*kmsg.EnvelopeResponse)
	if !ok {
		return nil, fmt.Errorf("%w: %T answers an envelope", metadata.ErrUnknownServer, resp)
	}
	if err := wire.Err(r.ErrorCode); err != nil {
		return nil, fmt.Errorf("forwarding %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	answer := req.ResponseKind()
	answer.SetVersion(req.GetVersion())
	if _, err := wire.DecodeResponse(r.ResponseData, answer); err != nil {
		return nil, fmt.Errorf("%w: the answer in an envelope: %w", metadata.ErrUnknownServer, err)
	}
	return answer, nil
}
