package wire

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

// A Relay is what the group's broker adds to a request of a group when it passes it on
// to the active coordinator. It is a tagged field of the Envelope, which Kafka does not
// have and would skip.
type Relay struct {
	// Broker leads the group's partition of __consumer_offsets in LeaderEpoch, or so
	// it believes.
	Broker      int32
	LeaderEpoch int32
	// NewMemberID is for a JoinGroup without a member id. It is made before the request is
	// relayed the first time, and the same when it is relayed again.
	NewMemberID string
	ClientHost  string // the client's address as Kafka writes it: "/127.0.0.1"
}

// Tags of our own in Envelope, far from Kafka's.
const (
	tagRelay     = 10_000 // of a request: a Relay
	tagShownUpTo = 10_001 // of a response: a metadata offset
)

const relayVersion = 1

// PutRelay adds r to an envelope.
func PutRelay(env *kmsg.EnvelopeRequest, r Relay) {
	e := metadata.Encoder{}
	e.Byte(relayVersion)
	e.Int(int64(r.Broker))
	e.Int(int64(r.LeaderEpoch))
	e.String(r.NewMemberID)
	e.String(r.ClientHost)
	env.UnknownTags.Set(tagRelay, e.Buf)
}

// RelayOf returns what was added to an envelope. ok is false if nothing was; what
// cannot be read is ErrInvalidRequest.
func RelayOf(env *kmsg.EnvelopeRequest) (r Relay, ok bool, err error) {
	b, ok := tag(&env.UnknownTags, tagRelay)
	if !ok {
		return r, false, nil
	}
	d := metadata.NewDecoder(b)
	d.Version(relayVersion)
	r = Relay{Broker: d.Int32(), LeaderEpoch: d.Int32(), NewMemberID: d.String(), ClientHost: d.String()}
	if err := d.End(); err != nil {
		return Relay{}, true, fmt.Errorf("%w: a relay: %w", metadata.ErrInvalidRequest, err)
	}
	return r, true, nil
}

// PutShownUpTo says up to which metadata offset an answer shows what is committed: the
// group's broker passes it on when it has replayed that.
func PutShownUpTo(env *kmsg.EnvelopeResponse, offset int64) {
	e := metadata.Encoder{}
	e.Int(offset)
	env.UnknownTags.Set(tagShownUpTo, e.Buf)
}

// ShownUpTo returns the metadata offset that an answer shows, 0 if it shows nothing.
func ShownUpTo(env *kmsg.EnvelopeResponse) (int64, error) {
	b, ok := tag(&env.UnknownTags, tagShownUpTo)
	if !ok {
		return 0, nil
	}
	d := metadata.NewDecoder(b)
	offset := d.Int()
	if err := d.End(); err != nil {
		return 0, fmt.Errorf("%w: the offset of an answer: %w", metadata.ErrUnknownServer, err)
	}
	return offset, nil
}

func tag(tags *kmsg.Tags, key uint32) (found []byte, ok bool) {
	tags.Each(func(k uint32, b []byte) {
		if k == key {
			found, ok = b, true
		}
	})
	return found, ok
}
