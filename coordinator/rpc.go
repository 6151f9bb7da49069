package coordinator

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// versions are what a node accepts of each API, and what ApiVersions says.
var versions = []struct{ key, low, high int16 }{
	{key: 1, low: 12, high: 18}, // Fetch, of the metadata log only
	{key: 18, low: 0, high: 5},  // ApiVersions
	{key: 55, low: 0, high: 2},  // DescribeQuorum
	{key: 56, low: 2, high: 3},  // AlterPartition
	{key: 58, low: 0, high: 0},  // Envelope
	{key: 59, low: 0, high: 1},  // FetchSnapshot
	{key: 62, low: 0, high: 4},  // BrokerRegistration
	{key: 63, low: 0, high: 2},  // BrokerHeartbeat
	{key: 67, low: 0, high: 0},  // AllocateProducerIds
}

func acceptedVersions(key int16) (low, high int16, ok bool) {
	for _, v := range versions {
		if v.key == key {
			return v.low, v.high, true
		}
	}
	return 0, 0, false
}

// Handle answers one request. Whatever waits, for Raft or for news, waits on a
// goroutine of its own, and its answer is sent in its turn: so a long poll holds
// back the answers, though not the effects, of what follows on its connection.
// That is why brokers use one connection for heartbeats and another one to follow
// the metadata log. Only what is relayed for a group is answered out of the order: a
// JoinGroup may wait for minutes.
func (n *Node) Handle(ctx context.Context, r *wire.Request) wire.Reply {
	switch req := r.Body.(type) {
	case *kmsg.ApiVersionsRequest:
		return wire.Reply{Response: apiVersions(req)}
	case *kmsg.FetchRequest:
		return n.later(r, func() kmsg.Response { return n.fetch(ctx, req) })
	case *kmsg.FetchSnapshotRequest:
		return wire.Reply{Response: n.fetchSnapshot(req)}
	}
	// All else is the active coordinator's.
	a := n.active.Load()
	if a == nil {
		return refuse(r.Body, metadata.ErrNotController)
	}
	switch req := r.Body.(type) {
	case *kmsg.BrokerHeartbeatRequest:
		return a.heartbeat(r, req, time.Now())
	case *kmsg.BrokerRegistrationRequest:
		return n.later(r, func() kmsg.Response { return a.register(r.Conn, req) })
	case *kmsg.AlterPartitionRequest:
		return n.later(r, func() kmsg.Response { return a.alterPartition(req) })
	case *kmsg.AllocateProducerIDsRequest:
		return n.later(r, func() kmsg.Response { return a.allocateProducerIDs(req) })
	case *kmsg.EnvelopeRequest:
		relay, relayed, err := wire.RelayOf(req)
		switch {
		case err != nil:
			return refuse(r.Body, err)
		case relayed:
			reply := n.later(r, func() kmsg.Response { return a.relayed(ctx, req, relay) })
			reply.Apart = true
			return reply
		}
		return n.later(r, func() kmsg.Response { return a.envelope(req) })
	case *kmsg.DescribeQuorumRequest:
		return n.later(r, func() kmsg.Response { return a.describeQuorum(req) })
	}
	return refuse(r.Body, metadata.ErrUnsupportedVersion)
}

// later carries out f on a goroutine that Close joins.
func (n *Node) later(r *wire.Request, f func() kmsg.Response) wire.Reply {
	done := make(chan kmsg.Response, 1)
	if !n.spawn(func() { done <- f() }) {
		return refuse(r.Body, metadata.ErrNotController)
	}
	return wire.Reply{Later: func() kmsg.Response { return <-done }}
}

func refuse(req kmsg.Request, err error) wire.Reply {
	return wire.Reply{Response: wire.ErrorAnswer(req, wire.Code(err))}
}

func apiVersions(req *kmsg.ApiVersionsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	for _, v := range versions {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = v.key, v.low, v.high
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	return resp
}

// message is an error's text as answers carry it; nil if there is none.
func message(err error) *string {
	if err == nil {
		return nil
	}
	return kmsg.StringPtr(err.Error())
}
