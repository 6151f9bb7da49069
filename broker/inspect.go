package broker

import (
	"fmt"
	"hash/crc32"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// What follows is for those who look at a broker from outside its protocol: the
// cluster's snapshots, and the checks that tests end with.

// A ReplicaStatus is what one replica knows, at one moment.
type ReplicaStatus = replication.Status

// A FollowerStatus is what a leader knows of one follower.
type FollowerStatus = replication.FollowerStatus

// Leading is the role of a leader.
const Leading = replication.Leading

// A Batch describes one stored batch.
type Batch struct {
	BaseOffset, LastOffset int64
	LeaderEpoch            int32
	Bytes                  int
	Sum                    uint32 // CRC-32C of all its bytes: equal batches have equal sums
}

// Batches describes the stored batches that hold records in [from, to), whether
// they are committed or not. The first may begin before from, the last end after to.
func (b *Broker) Batches(tp metadata.TopicPartition, from, to int64) ([]Batch, error) {
	r := b.replica(tp)
	if r == nil {
		return nil, fmt.Errorf("%w: broker %d hosts no replica of partition %d", metadata.ErrReplicaNotAvailable, b.cfg.ID, tp.Partition)
	}
	const atOnce = 1 << 20
	var batches []Batch
	var buf []byte
	for from < to {
		var err error
		if buf, err = r.Log().Read(buf[:0], from, to, atOnce, true); err != nil {
			return nil, err
		}
		next := from
		for batch := range partition.Batches(buf) {
			batches = append(batches, describe(batch))
			next = batch.NextOffset()
		}
		if next == from { // nothing more below to
			break
		}
		from = next
	}
	return batches, nil
}

func describe(b partition.Batch) Batch {
	return Batch{
		BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), LeaderEpoch: b.LeaderEpoch(),
		Bytes: len(b), Sum: crc32.Checksum(b, castagnoli),
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrorResponse is the answer to a request that says nothing but code, in every
// item that the request names. Both are frames without their length. It is nil
// for a request that cannot be read.
func ErrorResponse(request []byte, code int16) []byte {
	return wire.ErrorAnswerFrame(request, code)
}
