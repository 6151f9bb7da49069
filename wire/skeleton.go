package wire

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// A frame with gaps is decoded as its skeleton: what was lent is taken for the contents of
// a bytes field, if the length right before it says as much, and one byte stands for it.
//
//	read       ... ff ff ff ff | 81 80 04 |    | 00 ...   64 KiB are lent between
//	skeleton   ... ff ff ff ff | 02       | 00 | 00 ...
//
// The length may only look like one: its first bytes may belong to a longer one. So the
// response must give each of these bytes back as the records of a partition, which is then
// told by the address. A decoder that reads them so has read a length of one, in one byte,
// where in the whole frame it would have read the length of what was lent, and all before
// it alike. If one is missing, the whole frame is put together and decoded.

// A stand is a byte of a skeleton that stands for spans.
type stand struct {
	at    int
	spans []slab.Span
}

// decode makes an answer of the frame that was read, whose memory belongs to it then.
func (l *loan) decode(req kmsg.Request, frame *[]byte) (Borrowed, error) {
	if len(l.gaps) > 0 {
		resp := req.ResponseKind()
		skeleton := l.skeleton(*frame, resp.IsFlexible())
		if _, err := DecodeResponse(*skeleton, resp); err == nil && l.claim(resp, *skeleton) {
			giveBuffer(frame)
			return Borrowed{Response: resp, Records: l.records, frame: skeleton}, nil
		}
		giveBuffer(skeleton)
		whole := l.whole(*frame)
		giveBuffer(frame)
		l.reset()
		frame = whole
	}
	resp := req.ResponseKind()
	if _, err := DecodeResponse(*frame, resp); err != nil {
		return Borrowed{}, err
	}
	l.claim(resp, nil)
	return Borrowed{Response: resp, Records: l.records, frame: frame}, nil
}

// skeleton is the frame with a byte in the place of each gap that may be a bytes field,
// and copies in the other ones.
func (l *loan) skeleton(frame []byte, flexible bool) *[]byte {
	buf := roomy(len(frame) + len(l.gaps))
	b, from := *buf, 0
	var mem [binary.MaxVarintLen32]byte
	for _, g := range l.gaps {
		between, spans := frame[from:g.at], l.spans[g.from:g.to:g.to]
		from = g.at
		length := appendLength(mem[:0], g.size, flexible)
		if before, ok := bytes.CutSuffix(between, length); ok {
			b = append(appendLength(append(b, before...), 1, flexible), 0)
			l.stands = append(l.stands, stand{len(b) - 1, spans})
		} else {
			b = slab.AppendTo(append(b, between...), spans)
		}
	}
	*buf = append(b, frame[from:]...)
	return buf
}

// whole is the frame with copies in all gaps.
func (l *loan) whole(frame []byte) *[]byte {
	size := len(frame)
	for _, g := range l.gaps {
		size += g.size
	}
	buf := roomy(size)
	b, from := *buf, 0
	for _, g := range l.gaps {
		b = slab.AppendTo(append(b, frame[from:g.at]...), l.spans[g.from:g.to])
		from = g.at
	}
	*buf = append(b, frame[from:]...)
	return buf
}

// roomy is takeBuffer, but returns one that has that room.
func roomy(size int) *[]byte {
	b := takeBuffer(size)
	if cap(*b) < size {
		*b = make([]byte, 0, roomFor(size))
	}
	return b
}

// claim makes the list of a fetch's records: of each partition those that a byte of its
// frame stands for, or what it has there itself. It reports whether no stand is left over.
func (l *loan) claim(resp kmsg.Response, frame []byte) bool {
	stands := l.stands
	fetch, ok := resp.(*kmsg.FetchResponse)
	if !ok {
		return len(stands) == 0
	}
	n := 0
	for i := range fetch.Topics {
		n += len(fetch.Topics[i].Partitions)
	}
	l.spans, l.records = slices.Grow(l.spans, n), slices.Grow(l.records, n)
	for p := range partitionsOf(fetch) {
		b := p.RecordBatches
		if len(stands) > 0 && len(b) == 1 && &b[0] == &frame[stands[0].at] {
			l.records = append(l.records, stands[0].spans)
			stands = stands[1:]
			continue
		}
		l.spans = append(l.spans, slab.Borrow(b))
		l.records = append(l.records, l.spans[len(l.spans)-1:len(l.spans):len(l.spans)])
	}
	return len(stands) == 0
}
