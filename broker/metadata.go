package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// metadataTopic is the name of the metadata log and metadataTopicID its reserved
// topic id.
const metadataTopic = "__cluster_metadata"

var metadataTopicID = metadata.UUID{15: 1}

// Limits on what a coordinator node may send.
const (
	metadataFetchBytes = 1 << 20
	maxSnapshotBytes   = 1 << 30
)

// A metadataFollower brings the broker's image of the cluster up to date: it
// fetches __cluster_metadata from a coordinator node by long poll, the active
// one if it can, and applies the deltas in order. Far behind, it takes a whole
// image first. It has no goroutine but the one that calls run.
type metadataFollower struct {
	self    int32
	cluster string
	channel *coordinatorChannel
	wait    time.Duration // long poll
	epoch   func() int64  // this broker's
	logger  *slog.Logger

	images     *images
	next       *metadata.Image // read, but perhaps not shown to anybody yet
	registered <-chan struct{} // closed once epoch is known
	changed    func(change)
	shown      func(*metadata.Image) // after it was published
}

// A change is a step from one image to the next.
type change struct {
	before, after *metadata.Image
	deltas        []metadata.Delta // that lead from one to the other
	whole         bool             // the deltas are not known: anything may differ
}

// losesTopics reports whether topics may have been deleted.
func (c change) losesTopics() bool {
	return c.whole || slices.ContainsFunc(c.deltas, func(d metadata.Delta) bool { _, gone := d.(metadata.TopicDeleted); return gone })
}

// run follows the metadata log until ctx ends, once the broker is registered.
func (f *metadataFollower) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.registered:
	}
	tried := make([]bool, len(f.channel.quorum.addrs))
	for {
		node, _, ok := f.channel.quorum.next(tried, time.Now())
		if !ok {
			if err := f.channel.rest(ctx); err != nil {
				return err
			}
			clear(tried)
			continue
		}
		if err := f.poll(ctx, node); err == nil {
			clear(tried)
		} else if ctx.Err() != nil {
			return context.Cause(ctx)
		} else if errors.Is(err, metadata.ErrInconsistentClusterID) {
			return err
		} else {
			f.logger.Debug("following the metadata log", "error", err)
			tried[node] = true
		}
	}
}

// poll asks one node for what comes next and takes it in.
func (f *metadataFollower) poll(ctx context.Context, node int) error {
	_, era := f.channel.quorum.believed()
	resp, err := f.channel.ask(ctx, node, f.request(), f.channel.limit, era)
	if err != nil {
		if era.Err() != nil && ctx.Err() == nil {
			return nil // another node is the active one now: prefer that
		}
		return err
	}
	p, err := onlyPartition(resp)
	if err != nil {
		return err
	}
	if p.SnapshotID.EndOffset >= 0 {
		im, err := f.snapshot(ctx, node, p.SnapshotID)
		if err != nil || im.Offset() <= f.next.Offset() {
			return err
		}
		f.advance(change{after: im, whole: true})
		return nil
	}
	return f.take(p)
}

func (f *metadataFollower) request() *kmsg.FetchRequest {
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset = f.next.Offset() + 1
	p.PartitionMaxBytes = metadataFetchBytes
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = metadataTopic, metadataTopicID
	t.Partitions = append(t.Partitions, p)
	req := kmsg.NewPtrFetchRequest()
	req.Version = 17
	req.ClusterID = &f.cluster
	req.ReplicaState.ID, req.ReplicaState.Epoch = f.self, f.epoch()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(f.wait.Milliseconds()), 1, metadataFetchBytes
	req.SessionEpoch = -1 // no fetch session
	req.Topics = append(req.Topics, t)
	return req
}

func onlyPartition(resp kmsg.Response) (*kmsg.FetchResponseTopicPartition, error) {
	r, ok := resp.(*kmsg.FetchResponse)
	if !ok {
		return nil, fmt.Errorf("%w: %T answers a fetch", metadata.ErrUnknownServer, resp)
	}
	if err := wire.Err(r.ErrorCode); err != nil {
		return nil, err
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("%w: not the one partition that was asked for", metadata.ErrUnknownServer)
	}
	p := &r.Topics[0].Partitions[0]
	return p, wire.Err(p.ErrorCode)
}

// take applies the entries of an answer, together.
func (f *metadataFollower) take(p *kmsg.FetchResponseTopicPartition) error {
	var deltas []metadata.Delta
	offset, entries := f.next.Offset(), 0
	for e, err := range wire.ReadMetadataBatches(p.RecordBatches) {
		if err != nil {
			return fmt.Errorf("metadata log after offset %d: %w", offset, err)
		}
		if e.Offset <= offset {
			return fmt.Errorf("%w: metadata offset %d after %d", metadata.ErrCorruptMessage, e.Offset, offset)
		}
		d, err := metadata.DecodeDeltas(e.Payload)
		if err != nil {
			return fmt.Errorf("metadata offset %d: %w", e.Offset, err)
		}
		deltas = append(deltas, d...)
		offset, entries = e.Offset, entries+1
	}
	if entries == 0 {
		// Entries may have no deltas; the node has none after these.
		offset = max(offset, p.HighWatermark-1)
	}
	if offset > f.next.Offset() {
		f.advance(change{after: f.next.Apply(offset, deltas), deltas: deltas})
	}
	return nil
}

// advance goes on to the next image. Nothing is shown before it contains this
// broker's own registration: an older image may speak of topics that are gone by
// now, whose names are those of logs on the disk.
func (f *metadataFollower) advance(c change) {
	f.next = c.after
	c.before = f.images.learned.Load()
	if c.before.Offset() == 0 {
		if c.after.Offset() < f.epoch() {
			return
		}
		c.whole = true
	}
	f.images.learned.Store(c.after)
	f.changed(c)
	f.images.publish(c.after)
	f.shown(c.after)
}

// snapshot fetches a whole image from node, in pieces.
func (f *metadataFollower) snapshot(ctx context.Context, node int, id kmsg.FetchResponseTopicPartitionSnapshotID) (*metadata.Image, error) {
	var image []byte
	for size := int64(1); int64(len(image)) < size; {
		p, err := f.piece(ctx, node, id, int64(len(image)))
		if err != nil {
			return nil, err
		}
		if p.Size > maxSnapshotBytes || len(p.Bytes) == 0 || p.Position != int64(len(image)) {
			return nil, fmt.Errorf("%w: a snapshot of %d bytes, %d of them at %d instead of %d",
				metadata.ErrUnknownServer, p.Size, len(p.Bytes), p.Position, len(image))
		}
		size = p.Size
		image = append(image, p.Bytes...)
	}
	im, err := metadata.DecodeImage(image)
	switch {
	case err != nil:
		return nil, fmt.Errorf("snapshot at metadata offset %d: %w", id.EndOffset, err)
	case im.ClusterID() != f.cluster:
		return nil, fmt.Errorf("%w: a snapshot of cluster %s", metadata.ErrInconsistentClusterID, im.ClusterID())
	}
	return im, nil
}

func (f *metadataFollower) piece(ctx context.Context, node int, id kmsg.FetchResponseTopicPartitionSnapshotID, at int64) (*kmsg.FetchSnapshotResponseTopicPartition, error) {
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = id.EndOffset, id.Epoch
	p.CurrentLeaderEpoch = -1
	p.Position = at
	t := kmsg.NewFetchSnapshotRequestTopic()
	t.Topic = metadataTopic
	t.Partitions = append(t.Partitions, p)
	req := kmsg.NewPtrFetchSnapshotRequest()
	req.ClusterID = &f.cluster
	req.ReplicaID = f.self
	req.MaxBytes = metadataFetchBytes
	req.Topics = append(req.Topics, t)
	resp, err := f.channel.ask(ctx, node, req, f.channel.limit, context.Background())
	if err != nil {
		return nil, err
	}
	r, ok := resp.(*kmsg.FetchSnapshotResponse)
	if !ok {
		return nil, fmt.Errorf("%w: %T answers a snapshot fetch", metadata.ErrUnknownServer, resp)
	}
	if err := wire.Err(r.ErrorCode); err != nil {
		return nil, err
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("%w: not the one partition that was asked for", metadata.ErrUnknownServer)
	}
	answer := &r.Topics[0].Partitions[0]
	return answer, wire.Err(answer.ErrorCode)
}
