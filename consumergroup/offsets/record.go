package offsets

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// A Place is a partition as groups name it.
type Place struct {
	Topic     string
	Partition int32
}

// String is as people write it: orders-0.
func (p Place) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// A Commit is how far a group has come in a partition.
type Commit struct {
	Offset      int64 // of the record to be read next
	LeaderEpoch int32 // of the record before it, -1: not told
	Metadata    string
	TopicID     metadata.UUID // zero: not told
	At          int64         // when it was committed, ms since 1970
	Expires     int64         // when it is to be forgotten, ms since 1970; -1: as retention says
}

// The versions of keys and values.
const (
	commitKeyVersion   = 1 // 0 has the same layout
	metadataKeyVersion = 2
	valueVersion       = 4
	expiringVersion    = 1 // the only one that says when
)

// KeyOf is the key of a group's record for a place.
func KeyOf(group string, p Place) []byte {
	k := kmsg.OffsetCommitKey{Version: commitKeyVersion, Group: group, Topic: p.Topic, Partition: p.Partition}
	return k.AppendTo(nil)
}

// ValueOf is the value of the record of a commit.
func ValueOf(c Commit) []byte {
	v := kmsg.OffsetCommitValue{
		Version: valueVersion, Offset: c.Offset, LeaderEpoch: c.LeaderEpoch, Metadata: c.Metadata,
		CommitTimestamp: c.At, TopicID: c.TopicID,
	}
	if c.Expires >= 0 {
		v.Version, v.ExpireTimestamp = expiringVersion, c.Expires
	}
	return v.AppendTo(nil)
}

// Marker is the key of the record, a tombstone, that a new leader writes.
func Marker() []byte {
	k := kmsg.GroupMetadataKey{Version: metadataKeyVersion}
	return k.AppendTo(nil)
}

// A Record is one record of __consumer_offsets.
type Record struct {
	Group string
	Place
	Commit *Commit // nil: there is none any more
}

// Read reads a record. ok is false if it does not speak of an offset: it is about a
// group's members, a transaction's, or of a version that is not known. What is malformed is
// metadata.ErrCorruptMessage.
func Read(key, value []byte) (r Record, ok bool, err error) {
	if len(key) < 2 {
		return r, false, fmt.Errorf("%w: a key of %d bytes", metadata.ErrCorruptMessage, len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 || version > commitKeyVersion {
		return r, false, nil
	}
	var k kmsg.OffsetCommitKey
	if err := k.ReadFrom(key); err != nil {
		return r, false, fmt.Errorf("%w: a key: %w", metadata.ErrCorruptMessage, err)
	}
	r = Record{Group: k.Group, Place: Place{Topic: k.Topic, Partition: k.Partition}}
	if value == nil {
		return r, true, nil
	}
	if len(value) < 2 || int16(binary.BigEndian.Uint16(value)) > valueVersion {
		return r, false, nil
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(value); err != nil {
		return r, false, fmt.Errorf("%w: the offset of group %q in %v: %w", metadata.ErrCorruptMessage, k.Group, r.Place, err)
	}
	r.Commit = &Commit{Offset: v.Offset, LeaderEpoch: -1, Metadata: v.Metadata, TopicID: v.TopicID, At: v.CommitTimestamp, Expires: -1}
	if v.Version >= 3 {
		r.Commit.LeaderEpoch = v.LeaderEpoch
	}
	if v.Version == expiringVersion {
		r.Commit.Expires = v.ExpireTimestamp
	}
	return r, true, nil
}
