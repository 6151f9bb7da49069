package coordinator

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A played broker registers, heartbeats and follows the metadata log as a real one does.
type played struct {
	r           *rig
	id          int32
	host        *network.Host
	gate        *gate.Gate
	incarnation metadata.UUID
	session     *quorumClient
	others      *quorumClient
	epoch       atomic.Int64
	image       atomic.Pointer[metadata.Image]
	answer      atomic.Pointer[kmsg.BrokerHeartbeatResponse] // the newest
	lazy        atomic.Bool                                  // heartbeats, but applies nothing more
	leaving     atomic.Bool
	snapshots   atomic.Int32

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// broker starts a broker's process. It registers at once.
func (r *rig) broker(id int32) *played {
	b := r.processOf(id)
	b.follow()
	return b
}

var incarnations atomic.Uint32

func (r *rig) processOf(id int32) *played {
	b := &played{r: r, id: id, host: r.net.Host(event.BrokerNode(id)), gate: gate.New()}
	n := incarnations.Add(1)
	b.incarnation = metadata.UUID{byte(id), byte(n), byte(n >> 8)}
	b.image.Store(metadata.NewImage("cluster"))
	b.host.Revive()
	b.host.Attach(b.gate)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	door, err := b.host.Listen(fmt.Sprintf("broker-%d:9090", id), true)
	require.NoError(r.t, err)
	b.session, b.others = r.clients(b.host), r.clients(b.host)
	b.wg.Go(func() {
		for {
			c, err := door.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	r.brokers = append(r.brokers, b)
	return b
}

// follow registers and keeps the session up and the image new.
func (b *played) follow() {
	resp := b.register(-1)
	require.NoError(b.r.t, wire.Err(resp.ErrorCode))
	b.epoch.Store(resp.BrokerEpoch)
	b.wg.Go(b.beat)
	b.wg.Go(func() {
		c := b.r.clients(b.host)
		defer c.close()
		b.fetch(c)
	})
}

func (b *played) registration(previous int64) *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 4, b.id, "cluster", b.incarnation
	req.PreviousBrokerEpoch = previous
	for _, l := range []struct {
		name string
		port uint16
	}{{metadata.InternalListener, 9090}, {metadata.ClientListener, 9092}} {
		x := kmsg.NewBrokerRegistrationRequestListener()
		x.Name, x.Host, x.Port = l.name, event.BrokerNode(b.id), l.port
		req.Listeners = append(req.Listeners, x)
	}
	return req
}

func (b *played) register(previous int64) *kmsg.BrokerRegistrationResponse {
	return b.session.do(b.ctx, b.registration(previous)).(*kmsg.BrokerRegistrationResponse)
}

func (b *played) heartbeat() *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 1, b.id, b.epoch.Load()
	req.CurrentMetadataOffset, req.WantShutdown = b.image.Load().Offset(), b.leaving.Load()
	return req
}

func (b *played) beat() {
	for b.ctx.Err() == nil {
		if resp := b.session.do(b.ctx, b.heartbeat()); resp != nil {
			b.answer.Store(resp.(*kmsg.BrokerHeartbeatResponse))
		}
		if b.gate.Pass() != nil || wait(b.ctx, 200*time.Millisecond) != nil {
			return
		}
	}
}

func metadataFetch(from int64, patience time.Duration) *kmsg.FetchRequest {
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = from, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = metadataTopic, metadataTopicID, []kmsg.FetchRequestTopicPartition{p}
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MaxBytes = 17, int32(patience.Milliseconds()), 1<<20
	req.Topics = []kmsg.FetchRequestTopic{t}
	return req
}

// fetch follows the metadata log at whichever node the answers name.
func (b *played) fetch(c *quorumClient) {
	for b.ctx.Err() == nil {
		if b.lazy.Load() {
			wait(b.ctx, 50*time.Millisecond)
			continue
		}
		resp, err := c.ask(b.ctx, metadataFetch(b.image.Load().Offset()+1, 500*time.Millisecond))
		if err != nil {
			c.turn()
			wait(b.ctx, 10*time.Millisecond)
			continue
		}
		p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if p.SnapshotID.EndOffset >= 0 {
			b.fetchSnapshot(c, p.SnapshotID.EndOffset, p.SnapshotID.Epoch)
		} else if !b.lazy.Load() {
			b.apply(p.RecordBatches)
		}
		if p.CurrentLeader.LeaderID > 0 {
			c.at.Store(p.CurrentLeader.LeaderID - 1)
		}
	}
}

func (b *played) apply(records []byte) {
	for e, err := range wire.ReadMetadataBatches(records) {
		require.NoError(b.r.t, err)
		deltas, err := metadata.DecodeDeltas(e.Payload)
		require.NoError(b.r.t, err)
		im := b.image.Load()
		require.Greater(b.r.t, e.Offset, im.Offset())
		b.image.Store(im.Apply(e.Offset, deltas))
	}
}

func (b *played) fetchSnapshot(c *quorumClient, end int64, epoch int32) {
	var image []byte
	for size := int64(1); int64(len(image)) < size; {
		p := kmsg.NewFetchSnapshotRequestTopicPartition()
		p.SnapshotID.EndOffset, p.SnapshotID.Epoch, p.Position = end, epoch, int64(len(image))
		t := kmsg.NewFetchSnapshotRequestTopic()
		t.Topic, t.Partitions = metadataTopic, []kmsg.FetchSnapshotRequestTopicPartition{p}
		req := kmsg.NewPtrFetchSnapshotRequest()
		req.MaxBytes, req.Topics = 100, []kmsg.FetchSnapshotRequestTopic{t}
		resp, err := c.ask(b.ctx, req)
		if err != nil {
			return
		}
		a := resp.(*kmsg.FetchSnapshotResponse).Topics[0].Partitions[0]
		if a.ErrorCode != 0 {
			return
		}
		size, image = a.Size, append(image, a.Bytes...)
	}
	im, err := metadata.DecodeImage(image)
	require.NoError(b.r.t, err)
	require.Equal(b.r.t, end, im.Offset()+1)
	b.snapshots.Add(1)
	b.image.Store(im)
}

// admin has the active coordinator carry out a client's request in an Envelope.
func (b *played) admin(req kmsg.Request) kmsg.Response {
	env := kmsg.NewPtrEnvelopeRequest()
	env.RequestData = wire.AppendRequest(nil, wire.Header{Key: req.Key(), Version: req.GetVersion()}, req)[4:]
	resp := b.others.do(b.ctx, env).(*kmsg.EnvelopeResponse)
	require.NoError(b.r.t, wire.Err(resp.ErrorCode))
	inner := req.ResponseKind()
	_, err := wire.DecodeResponse(resp.ResponseData, inner)
	require.NoError(b.r.t, err)
	return inner
}

// kill ends the broker's process without a word but reset connections.
func (b *played) kill() {
	b.gate.Shut()
	b.host.Kill()
	b.join()
}

// powerOff ends it without any.
func (b *played) powerOff() {
	b.gate.Shut()
	b.host.PowerOff()
	b.join()
}

// stop ends it at the end of a test.
func (b *played) stop() {
	if b.ctx.Err() == nil {
		b.kill()
	}
}

func (b *played) join() {
	b.cancel()
	b.session.close()
	b.others.close()
	b.wg.Wait()
}

// registered is what the active coordinator knows of the broker.
func (b *played) registered() metadata.Broker {
	known, _ := b.r.active().Image().Broker(b.id)
	return known
}
