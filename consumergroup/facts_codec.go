package consumergroup

import (
	"fmt"
	"math"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// Tags of facts. They are on disk: append only.
const (
	tagFormed byte = iota + 1
	tagRebalancing
	tagAssigned
	tagReplaced
	tagRemoved
	tagDeleted
)

// factsVersion is the first byte of every encoding of facts.
const factsVersion = 1

func (Formed) tag() byte      { return tagFormed }
func (Rebalancing) tag() byte { return tagRebalancing }
func (Assigned) tag() byte    { return tagAssigned }
func (Replaced) tag() byte    { return tagReplaced }
func (Removed) tag() byte     { return tagRemoved }
func (Deleted) tag() byte     { return tagDeleted }

// AppendFacts appends the encoding of facts to dst. Equal facts have equal bytes.
func AppendFacts(dst []byte, facts []Fact) []byte {
	e := metadata.Encoder{Buf: dst}
	e.Byte(factsVersion)
	e.Len(len(facts))
	for _, f := range facts {
		e.Byte(f.tag())
		encodeFact(&e, f)
	}
	return e.Buf
}

// DecodeFacts reads what AppendFacts wrote, or returns metadata.ErrMalformed. It
// may be given any bytes.
func DecodeFacts(b []byte) ([]Fact, error) {
	d := metadata.NewDecoder(b)
	d.Version(factsVersion)
	facts := metadata.List(d, 1, decodeFact)
	if err := d.End(); err != nil {
		return nil, err
	}
	return facts, nil
}

// FactsOf returns what is committed of a group, nil if it does not exist. Bytes that
// are no facts are metadata.ErrUnknownServer.
func FactsOf(g metadata.Group) (Facts, error) {
	var facts Facts
	for i := range 1 + len(g.Since) {
		b := g.Whole
		if i > 0 {
			b = g.Since[i-1]
		}
		if len(b) == 0 {
			continue
		}
		changes, err := DecodeFacts(b)
		if err != nil {
			return nil, fmt.Errorf("%w: facts of a group at metadata offset %d: %w", metadata.ErrUnknownServer, g.Offset, err)
		}
		facts = Replay(facts, changes...)
	}
	return facts, nil
}

// FactsAt returns what is committed of a group in an image.
func FactsAt(im *metadata.Image, group string) (Facts, error) {
	g, ok := im.Group(group)
	if !ok {
		return nil, nil
	}
	f, err := FactsOf(g)
	if err != nil {
		return nil, fmt.Errorf("group %q: %w", group, err)
	}
	return f, nil
}

func encodeFact(e *metadata.Encoder, f Fact) {
	switch f := f.(type) {
	case Formed:
		e.Byte(byte(f.State))
		e.Int(int64(f.Generation))
		e.String(f.ProtocolType)
		e.String(f.Protocol)
		e.String(f.Leader)
		e.Int(f.Since)
		encodeList(e, f.Members, encodeMember)
	case Rebalancing:
		e.String(f.ProtocolType)
		e.Byte(byte(f.Why))
		e.String(f.Member)
	case Assigned:
		encodeList(e, f.Assignments, func(e *metadata.Encoder, a Assignment) {
			e.String(a.Member)
			encodeOpaque(e, a.Bytes)
		})
	case Replaced:
		e.String(f.Old)
		encodeMember(e, f.New)
	case Removed:
		encodeList(e, f.Members, (*metadata.Encoder).String)
		e.String(f.Leader)
		e.Byte(byte(f.Why))
	}
}

func decodeFact(d *metadata.Decoder) Fact {
	switch tag := d.Byte(); tag {
	case tagFormed:
		return Formed{ClassicFacts{
			State: decodeState(d), Generation: d.Int32(), ProtocolType: d.String(), Protocol: d.String(), Leader: d.String(),
			Since: d.Int(), Members: metadata.List(d, 9, decodeMember),
		}}
	case tagRebalancing:
		return Rebalancing{d.String(), decodeReason(d), d.String()}
	case tagAssigned:
		return Assigned{metadata.List(d, 2, func(d *metadata.Decoder) Assignment {
			return Assignment{d.String(), decodeOpaque(d)}
		})}
	case tagReplaced:
		return Replaced{d.String(), decodeMember(d)}
	case tagRemoved:
		return Removed{metadata.List(d, 1, (*metadata.Decoder).String), d.String(), decodeReason(d)}
	case tagDeleted:
		return Deleted{}
	default:
		d.Fail("no fact has tag %d", tag)
		return nil
	}
}

func encodeMember(e *metadata.Encoder, m Member) {
	e.String(m.ID)
	e.String(m.Instance)
	e.String(m.ClientID)
	e.String(m.ClientHost)
	e.Int(m.SessionTimeout.Milliseconds())
	e.Int(m.RebalanceTimeout.Milliseconds())
	encodeList(e, m.Protocols, func(e *metadata.Encoder, p Protocol) {
		e.String(p.Name)
		encodeOpaque(e, p.Metadata)
	})
	encodeOpaque(e, m.Assignment)
}

func decodeMember(d *metadata.Decoder) Member {
	return Member{
		ID: d.String(), Instance: d.String(), ClientID: d.String(), ClientHost: d.String(),
		SessionTimeout: decodeTimeout(d), RebalanceTimeout: decodeTimeout(d),
		Protocols: metadata.List(d, 2, func(d *metadata.Decoder) Protocol {
			return Protocol{d.String(), decodeOpaque(d)}
		}),
		Assignment: decodeOpaque(d),
	}
}

func decodeState(d *metadata.Decoder) State {
	s := State(d.Byte())
	if s >= Dead {
		d.Fail("%d is no state of a group", s)
	}
	return s
}

func decodeReason(d *metadata.Decoder) Reason {
	r := Reason(d.Byte())
	if int(r) >= len(reasons) {
		d.Fail("%d is no reason", r)
	}
	return r
}

func decodeTimeout(d *metadata.Decoder) time.Duration {
	ms := d.Int()
	if ms < 0 || ms > math.MaxInt32 {
		d.Fail("a timeout of %d ms", ms)
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func encodeList[T any](e *metadata.Encoder, list []T, element func(*metadata.Encoder, T)) {
	e.Len(len(list))
	for _, v := range list {
		element(e, v)
	}
}

// encodeOpaque appends what clients tell each other. It may be longer than a
// string of the metadata may: it is written in pieces.
func encodeOpaque(e *metadata.Encoder, s string) {
	e.Len((len(s) + metadata.MaxString - 1) / metadata.MaxString)
	for len(s) > 0 {
		n := min(len(s), metadata.MaxString)
		e.String(s[:n])
		s = s[n:]
	}
}

func decodeOpaque(d *metadata.Decoder) string {
	n := d.Len(1)
	if n == 1 {
		return d.String()
	}
	var whole []byte
	for range n {
		whole = append(whole, d.String()...)
	}
	return string(whole)
}
