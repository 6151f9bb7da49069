package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// producerIDs hands out producer ids from a block that the coordinator gave to
// this broker alone (KIP-730), and asks for the next block when it is used up.
type producerIDs struct {
	self  int32
	epoch func() int64
	send  func(ctx context.Context, req kmsg.Request) (kmsg.Response, error)

	// block holds the ids left. Whoever takes it out has the block to itself, also
	// while it asks for a new one.
	block chan idBlock
}

type idBlock struct{ next, end int64 }

func newProducerIDs(self int32, epoch func() int64, send func(context.Context, kmsg.Request) (kmsg.Response, error)) *producerIDs {
	ids := &producerIDs{self: self, epoch: epoch, send: send, block: make(chan idBlock, 1)}
	ids.block <- idBlock{}
	return ids
}

// next returns an id that was never given out.
func (p *producerIDs) next(ctx context.Context) (int64, error) {
	var block idBlock
	select {
	case block = <-p.block:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { p.block <- block }()
	if block.next >= block.end {
		fresh, err := p.allocate(ctx)
		if err != nil {
			return 0, err
		}
		block = fresh
	}
	id := block.next
	block.next++
	return id, nil
}

func (p *producerIDs) allocate(ctx context.Context) (idBlock, error) {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = p.self, p.epoch()
	resp, err := p.send(ctx, req)
	if err != nil {
		return idBlock{}, err
	}
	r, ok := resp.(*kmsg.AllocateProducerIDsResponse)
	if !ok {
		return idBlock{}, fmt.Errorf("%w: %T answers an allocation of producer ids", metadata.ErrUnknownServer, resp)
	}
	if err := wire.Err(r.ErrorCode); err != nil {
		return idBlock{}, fmt.Errorf("allocating producer ids: %w", err)
	}
	if r.ProducerIDStart < 0 || r.ProducerIDLen <= 0 {
		return idBlock{}, fmt.Errorf("%w: %d producer ids from %d", metadata.ErrUnknownServer, r.ProducerIDLen, r.ProducerIDStart)
	}
	return idBlock{r.ProducerIDStart, r.ProducerIDStart + int64(r.ProducerIDLen)}, nil
}
