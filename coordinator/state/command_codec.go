package state

import (
	"fmt"

	"github.com/brokersim/brokersim/metadata"
)

// Tags of commands. They are in the Raft log: append only.
const (
	tagRegisterBroker byte = iota + 1
	tagFenceBroker
	tagUnfenceBroker
	tagBeginShutdown
	tagCreateTopics
	tagDeleteTopics
	tagAlterPartitions
	tagElectLeaders
	tagAllocateProducerIDs
	tagChangeGroup
)

// EncodeCommand writes a command as one entry of the Raft log, in the encoding of
// package metadata.
func EncodeCommand(c Command) []byte {
	e := metadata.Encoder{}
	e.Byte(metadata.Version)
	c.encode(&e)
	return e.Buf
}

// DecodeCommand reads what EncodeCommand wrote, or returns metadata.ErrMalformed.
func DecodeCommand(b []byte) (Command, error) {
	d := metadata.NewDecoder(b)
	d.Version(metadata.Version)
	c := decodeCommand(d)
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	return c, nil
}

func decodeCommand(d *metadata.Decoder) Command {
	switch tag := d.Byte(); tag {
	case tagRegisterBroker:
		return RegisterBroker{Broker: d.Broker(), PreviousEpoch: d.Int()}
	case tagFenceBroker:
		return FenceBroker{ID: d.Int32(), Epoch: d.Int(), Reason: d.String()}
	case tagUnfenceBroker:
		return UnfenceBroker{ID: d.Int32(), Epoch: d.Int()}
	case tagBeginShutdown:
		return BeginShutdown{ID: d.Int32(), Epoch: d.Int()}
	case tagCreateTopics:
		return CreateTopics{Topics: metadata.List(d, 21, decodeNewTopic), Seed: d.Uint(), ValidateOnly: d.Bool()}
	case tagDeleteTopics:
		return DeleteTopics{Topics: metadata.List(d, 17, decodeTopicRef)}
	case tagAlterPartitions:
		return AlterPartitions{Broker: d.Int32(), BrokerEpoch: d.Int(), Changes: metadata.List(d, 21, decodePartitionChange)}
	case tagElectLeaders:
		c := ElectLeaders{Unclean: d.Bool()}
		if all := d.Bool(); !all {
			c.Partitions = append([]metadata.TopicPartition{}, metadata.List(d, 17, decodeTopicPartition)...)
		}
		return c
	case tagAllocateProducerIDs:
		return AllocateProducerIDs{Broker: d.Int32(), BrokerEpoch: d.Int(), Count: d.Int32()}
	case tagChangeGroup:
		return decodeChangeGroup(d)
	default:
		d.Fail("no command has tag %d", tag)
		return nil
	}
}

func (c RegisterBroker) encode(e *metadata.Encoder) {
	e.Byte(tagRegisterBroker)
	e.Broker(c.Broker)
	e.Int(c.PreviousEpoch)
}

func (c FenceBroker) encode(e *metadata.Encoder) {
	e.Byte(tagFenceBroker)
	e.Int(int64(c.ID))
	e.Int(c.Epoch)
	e.String(c.Reason)
}

func (c UnfenceBroker) encode(e *metadata.Encoder) {
	e.Byte(tagUnfenceBroker)
	e.Int(int64(c.ID))
	e.Int(c.Epoch)
}

func (c BeginShutdown) encode(e *metadata.Encoder) {
	e.Byte(tagBeginShutdown)
	e.Int(int64(c.ID))
	e.Int(c.Epoch)
}

func (c CreateTopics) encode(e *metadata.Encoder) {
	e.Byte(tagCreateTopics)
	e.Len(len(c.Topics))
	for _, t := range c.Topics {
		e.String(t.Name)
		e.UUID(t.ID)
		e.Int(int64(t.Partitions))
		e.Int(int64(t.ReplicationFactor))
		e.Len(len(t.Assignment))
		for _, replicas := range t.Assignment {
			e.Int32s(replicas)
		}
		e.StringMap(t.Configs)
	}
	e.Uint(c.Seed)
	e.Bool(c.ValidateOnly)
}

func decodeNewTopic(d *metadata.Decoder) NewTopic {
	t := NewTopic{Name: d.String(), ID: d.UUID(), Partitions: d.Int32()}
	rf := d.Int32()
	if t.ReplicationFactor = int16(rf); int32(t.ReplicationFactor) != rf {
		d.Fail("%d needs more than 16 bits", rf)
	}
	t.Assignment = metadata.List(d, 1, (*metadata.Decoder).Int32s)
	t.Configs = d.StringMap()
	return t
}

func (c DeleteTopics) encode(e *metadata.Encoder) {
	e.Byte(tagDeleteTopics)
	e.Len(len(c.Topics))
	for _, t := range c.Topics {
		e.UUID(t.ID)
		e.String(t.Name)
	}
}

func decodeTopicRef(d *metadata.Decoder) TopicRef {
	return TopicRef{ID: d.UUID(), Name: d.String()}
}

func (c AlterPartitions) encode(e *metadata.Encoder) {
	e.Byte(tagAlterPartitions)
	e.Int(int64(c.Broker))
	e.Int(c.BrokerEpoch)
	e.Len(len(c.Changes))
	for _, p := range c.Changes {
		encodeTopicPartition(e, p.TopicPartition)
		e.Int(int64(p.LeaderEpoch))
		e.Int(int64(p.PartitionEpoch))
		e.Len(len(p.ISR))
		for _, m := range p.ISR {
			e.Int(int64(m.Broker))
			e.Int(m.Epoch)
		}
		e.Bool(p.Recovered)
	}
}

func decodePartitionChange(d *metadata.Decoder) PartitionChange {
	return PartitionChange{
		TopicPartition: decodeTopicPartition(d), LeaderEpoch: d.Int32(), PartitionEpoch: d.Int32(),
		ISR: metadata.List(d, 2, func(d *metadata.Decoder) ISRMember {
			return ISRMember{Broker: d.Int32(), Epoch: d.Int()}
		}),
		Recovered: d.Bool(),
	}
}

func (c ElectLeaders) encode(e *metadata.Encoder) {
	e.Byte(tagElectLeaders)
	e.Bool(c.Unclean)
	e.Bool(c.Partitions == nil) // all of them
	if c.Partitions == nil {
		return
	}
	e.Len(len(c.Partitions))
	for _, tp := range c.Partitions {
		encodeTopicPartition(e, tp)
	}
}

func encodeTopicPartition(e *metadata.Encoder, tp metadata.TopicPartition) {
	e.UUID(tp.Topic)
	e.Int(int64(tp.Partition))
}

func decodeTopicPartition(d *metadata.Decoder) metadata.TopicPartition {
	return metadata.TopicPartition{Topic: d.UUID(), Partition: d.Int32()}
}

func (c AllocateProducerIDs) encode(e *metadata.Encoder) {
	e.Byte(tagAllocateProducerIDs)
	e.Int(int64(c.Broker))
	e.Int(c.BrokerEpoch)
	e.Int(int64(c.Count))
}
