package coordinator

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// FetchSnapshot (59), versions 0 and 1: the whole image, piece by piece, for a
// broker that is too far behind. Its id is the one that Fetch gave. A node keeps
// the newest two that it gave; SNAPSHOT_NOT_FOUND sends the broker back to Fetch.

// maxSnapshotPiece bounds the bytes of one answer.
const maxSnapshotPiece = 1 << 20

func (n *Node) fetchSnapshot(req *kmsg.FetchSnapshotRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FetchSnapshotResponse)
	if req.ClusterID != nil && *req.ClusterID != n.cfg.ClusterID {
		resp.ErrorCode = wire.Code(metadata.ErrInconsistentClusterID)
		return resp
	}
	for _, t := range req.Topics {
		rt := kmsg.NewFetchSnapshotResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchSnapshotResponseTopicPartition()
			rp.Partition, rp.Bytes = p.Partition, []byte{}
			rp.SnapshotID.EndOffset, rp.SnapshotID.Epoch = p.SnapshotID.EndOffset, p.SnapshotID.Epoch
			if t.Topic != metadataTopic || p.Partition != 0 {
				rp.ErrorCode = wire.Code(metadata.ErrUnknownTopicOrPartition)
			} else {
				n.snapshotPiece(int(req.MaxBytes), p, &rp)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

func (n *Node) snapshotPiece(limit int, p kmsg.FetchSnapshotRequestTopicPartition, rp *kmsg.FetchSnapshotResponseTopicPartition) {
	s, ok := n.history.snapshotAt(p.SnapshotID.EndOffset, p.SnapshotID.Epoch)
	switch size := int64(len(s.bytes)); {
	case !ok:
		rp.ErrorCode = wire.Code(metadata.ErrSnapshotNotFound)
	case p.Position < 0 || p.Position >= size:
		rp.ErrorCode = wire.Code(metadata.ErrPositionOutOfRange)
	default:
		rest := s.bytes[p.Position:]
		rp.Size, rp.Position = size, p.Position
		rp.Bytes = rest[:min(len(rest), max(limit, 1), maxSnapshotPiece)]
	}
}
