package broker

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// apis is what the handlers remember between requests.
type apis struct {
	sessions fetchSessions
	buffers  recordBuffers
	ready    atomic.Bool  // the image has caught up with this broker's registration
	panics   atomic.Int64 // handlers that panicked; see Panics
}

func (b *Broker) initAPIs() { b.apis.sessions.init(b.cfg.Seed, time.Now()) }

// Handle answers one request; it is called by one goroutine per connection.
// Whatever goes wrong below it becomes an answer: a handler that panics is
// logged, counted and answered with UNKNOWN_SERVER_ERROR.
func (b *Broker) Handle(ctx context.Context, r *wire.Request) (reply wire.Reply) {
	defer func() {
		if p := recover(); p != nil {
			b.panicked(r, p)
			reply = refusal(r, kerr.UnknownServerError.Code)
		}
	}()
	reply = b.dispatch(ctx, r)
	if later := reply.Later; later != nil {
		reply.Later = func() kmsg.Response { return b.guarded(r, later) }
	}
	return reply
}

// prompt reports whether a request may be handled by the goroutine that reads the connection:
// a produce, whose batches are appended at once and whose waiting comes later.
func prompt(key int16) bool { return key == int16(kmsg.Produce) }

// dispatch hands the request to the handler of its API.
func (b *Broker) dispatch(ctx context.Context, r *wire.Request) wire.Reply {
	if req, ok := r.Body.(*kmsg.ApiVersionsRequest); ok {
		return wire.Reply{Response: b.apiVersions(req)}
	}
	b.awaitReady(ctx)
	switch req := r.Body.(type) {
	case *kmsg.ProduceRequest:
		return b.produce(ctx, r, req)
	case *kmsg.FetchRequest:
		return b.fetch(ctx, r, req)
	case *kmsg.ListOffsetsRequest:
		return wire.Reply{Response: b.listOffsets(req)}
	case *kmsg.MetadataRequest:
		return wire.Reply{Response: b.describeMetadata(ctx, r, req)}
	case *kmsg.CreateTopicsRequest:
		return wire.Reply{Response: b.createTopics(ctx, req)}
	case *kmsg.DeleteTopicsRequest:
		return wire.Reply{Response: b.deleteTopics(ctx, req)}
	case *kmsg.DeleteRecordsRequest:
		return b.deleteRecords(ctx, req)
	case *kmsg.InitProducerIDRequest:
		return wire.Reply{Response: b.initProducerID(ctx, req)}
	case *kmsg.OffsetForLeaderEpochRequest:
		return wire.Reply{Response: b.offsetForLeaderEpoch(req)}
	case *kmsg.DescribeConfigsRequest:
		return wire.Reply{Response: b.describeConfigs(req)}
	case *kmsg.ElectLeadersRequest:
		return wire.Reply{Response: b.electLeaders(ctx, req)}
	case *kmsg.DescribeClusterRequest:
		return wire.Reply{Response: b.describeCluster(r, req)}
	}
	return b.dispatchGroups(ctx, r)
}

// dispatchGroups hands over what is asked of groups.
func (b *Broker) dispatchGroups(ctx context.Context, r *wire.Request) wire.Reply {
	switch req := r.Body.(type) {
	case *kmsg.FindCoordinatorRequest:
		return wire.Reply{Response: b.findCoordinator(ctx, r, req)}
	case *kmsg.JoinGroupRequest:
		return b.groups.JoinGroup(ctx, r, req)
	case *kmsg.SyncGroupRequest:
		return b.groups.SyncGroup(ctx, r, req)
	case *kmsg.HeartbeatRequest:
		return b.groups.Heartbeat(ctx, r, req)
	case *kmsg.LeaveGroupRequest:
		return b.groups.LeaveGroup(ctx, r, req)
	case *kmsg.OffsetCommitRequest:
		return b.groups.OffsetCommit(ctx, r, req)
	case *kmsg.OffsetFetchRequest:
		return b.groups.OffsetFetch(ctx, req)
	case *kmsg.ListGroupsRequest:
		return wire.Reply{Response: b.groups.ListGroups(req)}
	case *kmsg.DescribeGroupsRequest:
		return wire.Reply{Response: b.groups.DescribeGroups(ctx, req)}
	case *kmsg.DeleteGroupsRequest:
		return b.groups.DeleteGroups(ctx, req)
	case *kmsg.OffsetDeleteRequest:
		return b.groups.OffsetDelete(ctx, req)
	}
	return refusal(r, kerr.UnsupportedVersion.Code)
}

// readyWait bounds how long a request waits for a broker that has just started.
const readyWait = 10 * time.Second

// awaitReady waits until this broker has applied its own registration, and so
// everything before it. A broker that answered earlier would deny topics that
// exist. If the coordinator cannot be reached for long, the answer is given from
// what is known.
func (b *Broker) awaitReady(ctx context.Context) {
	if b.apis.ready.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	err := b.until(ctx, func(im *metadata.Image) bool {
		me, ok := im.Broker(b.cfg.ID)
		return ok && me.Epoch == b.epoch.Load()
	})
	if err == nil {
		b.apis.ready.Store(true)
	}
}

// connClosed is told of each connection that has ended. A fetch session outlives
// its connection (KIP-227), so there is nothing to do.
func (b *Broker) connClosed(*wire.Conn) {}

// guarded runs the part of a handler that waits, under the same rule as Handle.
func (b *Broker) guarded(r *wire.Request, later func() kmsg.Response) (resp kmsg.Response) {
	defer func() {
		if p := recover(); p != nil {
			b.panicked(r, p)
			resp = wire.ErrorAnswer(r.Body, kerr.UnknownServerError.Code)
		}
	}()
	return later()
}

func (b *Broker) panicked(r *wire.Request, p any) {
	b.apis.panics.Add(1)
	b.cfg.Logger.Error("a handler panicked", "api", kmsg.NameForKey(r.Key), "version", r.Version,
		"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// Panics counts the handlers that panicked since the broker was started. Each is
// a defect of this package; tests expect none.
func (b *Broker) Panics() int64 { return b.apis.panics.Load() }

// refusal answers every item of a request with code. A produce that wants no
// answer gets none: its connection is closed instead, as Kafka does.
func refusal(r *wire.Request, code int16) wire.Reply {
	if p, ok := r.Body.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return wire.Reply{None: true, Close: true}
	}
	resp := wire.ErrorAnswer(r.Body, code)
	return wire.Reply{Response: resp, Close: resp == nil}
}
