package coordinator

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A quorumClient asks the coordinator nodes in turn until one is active.
type quorumClient struct {
	clients []*wire.Client
	at      atomic.Int32
}

func (r *rig) clients(h *network.Host) *quorumClient {
	c := &quorumClient{}
	for _, p := range r.peers() {
		c.clients = append(c.clients, wire.NewClient(wire.ClientConfig{
			Dial: func(ctx context.Context) (net.Conn, error) { return h.DialContext(ctx, "tcp", p.RPC) },
		}))
	}
	return c
}

func (c *quorumClient) turn() {
	c.at.Store((c.at.Load() + 1) % int32(len(c.clients)))
}

// ask sends a request to the node that c is at, once.
func (c *quorumClient) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return c.clients[c.at.Load()].Do(ctx, req)
}

// do asks node after node until one answers as the active coordinator; nil when ctx ends.
func (c *quorumClient) do(ctx context.Context, req kmsg.Request) kmsg.Response {
	for ctx.Err() == nil {
		tried := ctx
		limited, cancel := context.WithTimeout(tried, 300*time.Millisecond)
		resp, err := c.clients[c.at.Load()].Do(limited, req)
		cancel()
		if err == nil && !refused(resp) {
			return resp
		}
		c.turn()
		wait(ctx, 5*time.Millisecond)
	}
	return nil
}

func (c *quorumClient) close() {
	for _, c := range c.clients {
		c.Close()
	}
}

func refused(resp kmsg.Response) bool {
	var code int16
	switch r := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		code = r.ErrorCode
	case *kmsg.BrokerHeartbeatResponse:
		code = r.ErrorCode
	case *kmsg.AlterPartitionResponse:
		code = r.ErrorCode
	case *kmsg.AllocateProducerIDsResponse:
		code = r.ErrorCode
	case *kmsg.EnvelopeResponse:
		code = r.ErrorCode
	case *kmsg.DescribeQuorumResponse:
		code = r.ErrorCode
	}
	return code == wire.Code(metadata.ErrNotController)
}
