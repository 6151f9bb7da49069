package brokersim

import (
	"fmt"

	"github.com/brokersim/brokersim/metadata"
)

// A Batch describes one stored batch of records.
type Batch struct {
	BaseOffset, LastOffset int64 // both inclusive: the batch's first and last record
	LeaderEpoch            int32
	Bytes                  int
	Sum                    uint32 // CRC-32C of all its bytes: equal batches have equal sums
}

// Batches describes what this broker's replica stores in [from, to), committed or
// not, without the protocol and whether or not it leads. The first batch may
// begin before from, the last end after to. Replicas that agree return the same.
// The broker must run: a paused one's disk holds still.
func (b *Broker) Batches(topic string, partition int32, from, to int64) ([]Batch, error) {
	run, _ := b.running()
	if state := b.now(); state != Running {
		return nil, fmt.Errorf("%s cannot be read: it is %s", b.words(), state)
	}
	t := run.Image().TopicByName(topic)
	if t == nil {
		return nil, fmt.Errorf("%s: %w: %s-%d", b.words(), metadata.ErrUnknownTopicOrPartition, topic, partition)
	}
	stored, err := run.Batches(metadata.TopicPartition{Topic: t.ID, Partition: partition}, from, to)
	if err != nil {
		return nil, fmt.Errorf("read %s-%d on %s: %w", topic, partition, b.words(), err)
	}
	batches := make([]Batch, len(stored))
	for i, s := range stored {
		batches[i] = Batch(s)
	}
	return batches, nil
}
