package broker

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// forward has the active coordinator carry out a client's request (KIP-590): the
// whole request, header and all, travels inside an Envelope and so does its answer.
func forward(ctx context.Context, send func(context.Context, kmsg.Request) (kmsg.Response, error), req kmsg.Request) (kmsg.Response, error) {
	const correlation = 0 // one request, one answer
	frame := wire.AppendRequest(nil, wire.Header{Key: req.Key(), Version: req.GetVersion(), CorrelationID: correlation}, req)
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
	return openEnvelope(r.ResponseData, req)
}

// openEnvelope reads the answer to req: a response header and its body.
func openEnvelope(data []byte, req kmsg.Request) (kmsg.Response, error) {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	header := 4 // the correlation id
	if resp.IsFlexible() {
		header++ // and no tags
	}
	if len(data) < header || binary.BigEndian.Uint32(data) != 0 || resp.IsFlexible() && data[4] != 0 {
		return nil, fmt.Errorf("%w: the answer in an envelope has no header", metadata.ErrUnknownServer)
	}
	if err := resp.ReadFrom(data[header:]); err != nil {
		return nil, fmt.Errorf("%w: the answer in an envelope: %w", metadata.ErrUnknownServer, err)
	}
	return resp, nil
}
