package broker

// ElectLeaders (key 43), versions 0 to 2: moves leaderships back to the preferred
// replicas, or elects uncleanly where no eligible replica is left. It is passed
// on to the active coordinator; this broker then waits until its own image shows
// the leaders.
//
// Left out: nothing. Versions: 0 preferred elections only; 1 a top-level error;
// 2 flexible.

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// electLeadersVersion is the version that brokers forward.
const electLeadersVersion = 2

// The kinds of elections.
const (
	preferredElection int8 = 0
	uncleanElection   int8 = 1
)

func (b *Broker) electLeaders(ctx context.Context, req *kmsg.ElectLeadersRequest) kmsg.Response {
	if req.ElectionType != preferredElection && req.ElectionType != uncleanElection {
		return wire.ErrorAnswer(req, wire.Code(metadata.ErrInvalidRequest))
	}
	ctx, cancel := adminTimeout(ctx, req.TimeoutMillis)
	defer cancel()
	ahead := *req
	ahead.Version = electLeadersVersion
	before := b.image()
	answer, code := b.forwarded(ctx, &ahead)
	resp, ok := answer.(*kmsg.ElectLeadersResponse)
	if code != 0 || !ok {
		return wire.ErrorAnswer(req, orUnknown(code))
	}
	resp.Version = req.Version
	b.settle(ctx, func(im *metadata.Image) bool { return hasElected(before, im, resp) })
	return resp
}

// hasElected reports whether im shows every election that resp names: its leader
// epoch is past the one before, or the partition is gone.
func hasElected(before, im *metadata.Image, resp *kmsg.ElectLeadersResponse) bool {
	for _, t := range resp.Topics {
		topic := before.TopicByName(t.Topic)
		if topic == nil {
			continue
		}
		for _, p := range t.Partitions {
			tp := metadata.TopicPartition{Topic: topic.ID, Partition: p.Partition}
			was, known := before.Partition(tp)
			is, there := im.Partition(tp)
			if p.ErrorCode == 0 && known && there && is.LeaderEpoch == was.LeaderEpoch {
				return false
			}
		}
	}
	return true
}
