package metadata

// Version is the first byte of every encoding: of deltas, images and commands. It
// rises when the bytes change their meaning; testdata/golden.txt fails then.
const Version = 1

// Tags of deltas. They are on disk: append only.
const (
	tagBrokerRegistered byte = iota + 1
	tagTopicCreated
	tagTopicDeleted
	tagTopicConfigured
	tagPartitionChanged
	tagProducerIDsAllocated
	tagGroupChanged
)

// AppendDeltas appends the encoding of deltas to dst.
func AppendDeltas(dst []byte, deltas []Delta) []byte {
	e := Encoder{Buf: dst}
	e.Byte(Version)
	e.Len(len(deltas))
	for _, d := range deltas {
		d.encode(&e)
	}
	return e.Buf
}

// DecodeDeltas reads what AppendDeltas wrote, or returns ErrMalformed.
func DecodeDeltas(b []byte) ([]Delta, error) {
	d := NewDecoder(b)
	d.Version(Version)
	deltas := List(d, 2, decodeDelta)
	if err := d.End(); err != nil {
		return nil, err
	}
	return deltas, nil
}

func (d BrokerRegistered) encode(e *Encoder) {
	e.Byte(tagBrokerRegistered)
	e.Broker(d.Broker)
}

func (d TopicCreated) encode(e *Encoder) {
	e.Byte(tagTopicCreated)
	e.Topic(d.Topic)
}

func (d TopicDeleted) encode(e *Encoder) {
	e.Byte(tagTopicDeleted)
	e.UUID(d.ID)
}

func (d TopicConfigured) encode(e *Encoder) {
	e.Byte(tagTopicConfigured)
	e.UUID(d.ID)
	e.StringMap(d.Configs)
}

func (d PartitionChanged) encode(e *Encoder) {
	e.Byte(tagPartitionChanged)
	e.UUID(d.Topic)
	e.Int(int64(d.TopicPartition.Partition))
	e.Partition(d.State)
}

func (d ProducerIDsAllocated) encode(e *Encoder) {
	e.Byte(tagProducerIDsAllocated)
	e.Int(d.Next)
}

func decodeDelta(d *Decoder) Delta {
	switch tag := d.Byte(); tag {
	case tagBrokerRegistered:
		return BrokerRegistered{Broker: d.Broker()}
	case tagTopicCreated:
		return TopicCreated{Topic: d.Topic()}
	case tagTopicDeleted:
		return TopicDeleted{ID: d.UUID()}
	case tagTopicConfigured:
		return TopicConfigured{ID: d.UUID(), Configs: d.StringMap()}
	case tagPartitionChanged:
		return PartitionChanged{TopicPartition: TopicPartition{Topic: d.UUID(), Partition: d.Int32()}, State: d.Partition()}
	case tagProducerIDsAllocated:
		return ProducerIDsAllocated{Next: d.Int()}
	case tagGroupChanged:
		return decodeGroupChanged(d)
	default:
		d.Fail("no delta has tag %d", tag)
		return nil
	}
}

// AppendTo appends the encoding of the image to dst. Equal images, however they
// came about, have equal bytes.
func (im *Image) AppendTo(dst []byte) []byte {
	e := Encoder{Buf: dst}
	e.Byte(Version)
	e.Int(im.offset)
	e.String(im.clusterID)
	e.Int(im.nextProducerID)
	brokers := im.Brokers()
	e.Len(len(brokers))
	for _, b := range brokers {
		e.Broker(b)
	}
	topics := im.Topics()
	e.Len(len(topics))
	for _, t := range topics {
		e.Topic(*t)
	}
	im.encodeGroups(&e)
	return e.Buf
}

// DecodeImage reads what AppendTo wrote, or returns ErrMalformed.
func DecodeImage(b []byte) (*Image, error) {
	d := NewDecoder(b)
	d.Version(Version)
	im := &Image{offset: d.Int(), clusterID: d.String(), nextProducerID: d.Int()}
	brokers := List(d, 20, (*Decoder).Broker)
	topics := List(d, 19, (*Decoder).Topic)
	im.decodeGroups(d)
	if err := d.End(); err != nil {
		return nil, err
	}
	for i, b := range brokers {
		if i > 0 && b.ID <= brokers[i-1].ID {
			d.Fail("broker %d is out of order", b.ID)
		}
	}
	ids := make(map[UUID]bool, len(topics))
	for i, t := range topics {
		if i > 0 && t.Name <= topics[i-1].Name || ids[t.ID] {
			d.Fail("topic %q is out of order or repeats an id", t.Name)
		}
		ids[t.ID] = true
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	im.fill(brokers, topics)
	return im, nil
}

// fill puts decoded brokers and topics into an empty image.
func (im *Image) fill(brokers []Broker, topics []Topic) {
	im.brokers = make(map[int32]Broker, len(brokers))
	for _, b := range brokers {
		im.brokers[b.ID] = b
	}
	im.topics = make(map[UUID]*Topic, len(topics))
	im.names = make(map[string]UUID, len(topics))
	for i := range topics {
		t := &topics[i]
		im.topics[t.ID], im.names[t.Name] = t, t.ID
	}
}
