package broker

// ListOffsets (key 2), versions 1 to 11: where a partition's log starts and ends,
// the first record that is not older than a timestamp, and the first of those with
// the largest one (-3). Only committed records are found.
//
// The end is the high watermark, the same for read_committed. A leader that does
// not know yet how far its predecessor had committed answers OFFSET_NOT_AVAILABLE
// (KIP-207; LEADER_NOT_AVAILABLE before version 5), so that the end never goes
// back. Followers are answered like clients.
//
// There is no tiered storage: the earliest local offset (-4) is the earliest, the
// newest tiered (-5) and the earliest pending upload (-6) do not exist and are -1.
// Other negative timestamps are UNSUPPORTED_VERSION.
//
// Versions: 2 isolation level; 4 leader epochs; 6 flexible; 7 to 11 one more
// special timestamp each, and a timeout that nothing here needs.

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// Timestamps that ask for a place in the log instead.
const (
	latestTimestamp        = -1
	earliestTimestamp      = -2
	maxTimestamp           = -3
	earliestLocalTimestamp = -4
	latestTieredTimestamp  = -5
	pendingUploadTimestamp = -6
)

func (b *Broker) listOffsets(req *kmsg.ListOffsetsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	im := b.image()
	asked := map[topicPartition]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			asked[topicPartition{t.Topic, p.Partition}]++
		}
	}
	for _, t := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			var a kmsg.ListOffsetsResponseTopicPartition
			if asked[topicPartition{t.Topic, p.Partition}] > 1 {
				a = kmsg.NewListOffsetsResponseTopicPartition()
				a.ErrorCode = kerr.InvalidRequest.Code // Kafka cannot tell which of them is meant
			} else {
				a = b.listOffset(im, t.Topic, p, req.Version)
			}
			a.Partition = p.Partition
			topic.Partitions = append(topic.Partitions, a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (b *Broker) listOffset(im *metadata.Image, topic string, p kmsg.ListOffsetsRequestTopicPartition, version int16) kmsg.ListOffsetsResponseTopicPartition {
	a := kmsg.NewListOffsetsResponseTopicPartition()
	r, _, err := b.hosted(im, byName(topic), p.Partition)
	if err == nil {
		var at partition.TimedOffset
		at, err = offsetAt(r, p.Timestamp, p.CurrentLeaderEpoch, version)
		a.Offset, a.Timestamp, a.LeaderEpoch = at.Offset, at.Timestamp, at.LeaderEpoch
	}
	if err != nil {
		a.Offset, a.Timestamp, a.LeaderEpoch = -1, -1, -1
		if a.ErrorCode = wire.Code(err); a.ErrorCode == kerr.OffsetNotAvailable.Code && version < 5 {
			a.ErrorCode = kerr.LeaderNotAvailable.Code
		}
	}
	return a
}

// offsetAt returns the offset that a timestamp asks for; only a record that was
// searched for comes with its own timestamp.
func offsetAt(r *replication.Replica, timestamp int64, currentEpoch int32, version int16) (at partition.TimedOffset, err error) {
	at = partition.NoTimedOffset
	if low, special := lowestVersion(timestamp); special && version < low {
		return at, fmt.Errorf("%w: timestamp %d needs version %d of ListOffsets", metadata.ErrUnsupportedVersion, timestamp, low)
	}
	switch timestamp {
	case latestTimestamp:
		at.Offset, at.LeaderEpoch, err = r.EndOffset(currentEpoch)
	case earliestTimestamp, earliestLocalTimestamp:
		at.Offset, at.LeaderEpoch, err = r.StartOffset(currentEpoch)
	case latestTieredTimestamp, pendingUploadTimestamp:
		_, _, err = r.StartOffset(currentEpoch) // does this broker lead?
	case maxTimestamp:
		return r.OffsetOfMaxTime(currentEpoch)
	default:
		if timestamp < 0 {
			return at, fmt.Errorf("%w: timestamp %d", metadata.ErrUnsupportedVersion, timestamp)
		}
		return r.OffsetForTime(currentEpoch, timestamp)
	}
	return at, err
}

// lowestVersion is the first version of ListOffsets that has the special timestamp.
func lowestVersion(timestamp int64) (version int16, special bool) {
	switch timestamp {
	case maxTimestamp:
		return 7, true
	case earliestLocalTimestamp:
		return 8, true
	case latestTieredTimestamp:
		return 9, true
	case pendingUploadTimestamp:
		return 11, true
	}
	return 0, false
}
