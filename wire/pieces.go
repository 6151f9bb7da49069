package wire

import (
	"encoding/binary"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// spliced is how many bytes of records make it worth while to send a response in
// pieces.
const spliced = 4 << 10

// A letter is a response as it is sent: one frame, in pieces, so that the records of
// a fetch are not copied once more to stand between the fields of their response.
type letter struct {
	head    []byte   // all but the records; then the lengths of these
	records [][]byte // in the order in which they stand in the response
	places  []int    // in head: where the empty bytes fields stand that they belong to
	ends    []int    // in head: where each length behind the frame ends
	pieces  net.Buffers
}

// letters are those that nobody writes at the moment.
var letters = sync.Pool{New: func() any { return new(letter) }}

func takeLetter() *letter { return letters.Get().(*letter) }

func giveLetter(l *letter) {
	if cap(l.head) > keptBuffer {
		return
	}
	clear(l.records)
	clear(l.pieces)
	letters.Put(l)
}

// write makes l the frame of a response.
func (l *letter) write(h Header, resp kmsg.Response) error {
	l.records, l.places, l.ends, l.pieces = l.records[:0], l.places[:0], l.ends[:0], l.pieces[:0]
	resp.SetVersion(h.Version)
	fetch, ok := resp.(*kmsg.FetchResponse)
	if !ok || l.take(fetch) < spliced {
		if ok {
			l.putBack(fetch)
		}
		l.head = AppendResponse(l.head[:0], h.CorrelationID, resp)
		l.pieces = append(l.pieces, l.head)
		return nil
	}
	l.head = AppendResponse(l.head[:0], h.CorrelationID, resp)
	l.putBack(fetch)
	return l.splice(resp)
}

var noBytes = []byte{}

// take takes the records out of a response.
func (l *letter) take(fetch *kmsg.FetchResponse) (size int) {
	for i := range fetch.Topics {
		for j := range fetch.Topics[i].Partitions {
			p := &fetch.Topics[i].Partitions[j]
			l.records = append(l.records, p.RecordBatches)
			size += len(p.RecordBatches)
			if len(p.RecordBatches) > 0 {
				p.RecordBatches = noBytes
			}
		}
	}
	return size
}

func (l *letter) putBack(fetch *kmsg.FetchResponse) {
	n := 0
	for i := range fetch.Topics {
		for j := range fetch.Topics[i].Partitions {
			fetch.Topics[i].Partitions[j].RecordBatches = l.records[n]
			n++
		}
	}
}

// splice puts the records between the pieces of the frame. What a walker passes over
// as bytes are the fields that they belong to.
func (l *letter) splice(resp kmsg.Response) error {
	flexible, size := resp.IsFlexible(), len(l.head)
	body := l.head[8:]
	if flexible {
		body = body[1:]
	}
	w := walker{b: body, found: l.places, whole: size}
	if err := w.walk(layoutOf(resp)); err != nil {
		return err // of a response that kmsg has just written: it cannot be
	}
	l.places = w.found
	frame := size - 4
	for _, r := range l.records {
		if n := len(r); n > 0 {
			if flexible {
				l.head = binary.AppendUvarint(l.head, uint64(n)+1)
			} else {
				l.head = binary.BigEndian.AppendUint32(l.head, uint32(n))
			}
			frame += n - emptyBytes(flexible)
		}
		l.ends = append(l.ends, len(l.head))
	}
	frame += len(l.head) - size
	binary.BigEndian.PutUint32(l.head, uint32(frame))
	at, length := 0, size
	for i, r := range l.records {
		if len(r) > 0 {
			l.pieces = append(l.pieces, l.head[at:l.places[i]], l.head[length:l.ends[i]], r)
			at = l.places[i] + emptyBytes(flexible)
		}
		length = l.ends[i]
	}
	l.pieces = append(l.pieces, l.head[at:size])
	return nil
}

// emptyBytes is the size of a bytes field without bytes.
func emptyBytes(flexible bool) int {
	if flexible {
		return 1
	}
	return 4
}
