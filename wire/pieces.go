package wire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// spliced is how many bytes of records make it worth while to send a response in
// pieces.
const spliced = 1 << 10

// A letter is a response as it is sent: one frame, in pieces, so that the records of
// a fetch are not copied once more to stand between the fields of their response.
type letter struct {
	head    []byte        // all but the records; then the lengths of these
	records [][]slab.Span // of each partition, in the order in which they stand in the response
	sizes   []int         // of those, in bytes
	kept    [][]byte      // what the response had as RecordBatches
	own     []slab.Span   // those, if they are the records
	joined  []byte        // records that are too few to be sent in pieces
	places  []int         // in head: where the empty bytes fields stand that they belong to
	ends    []int         // in head: where each length behind the frame ends
	pieces  []slab.Span
	buffers net.Buffers // the pieces, for who takes no spans
}

// letters are those that nobody writes at the moment.
var letters = sync.Pool{New: func() any { return new(letter) }}

func takeLetter() *letter { return letters.Get().(*letter) }

func giveLetter(l *letter) {
	if cap(l.head) > keptBuffer {
		return
	}
	clear(l.records)
	clear(l.kept)
	clear(l.own)
	clear(l.pieces)
	clear(l.buffers)
	letters.Put(l)
}

// write makes l the frame of a response. Of a fetch, records are what Reply.Records says.
func (l *letter) write(h Header, resp kmsg.Response, records [][]slab.Span) error {
	resp.SetVersion(h.Version)
	l.pieces, l.buffers = l.pieces[:0], l.buffers[:0]
	fetch, ok := resp.(*kmsg.FetchResponse)
	if !ok {
		l.whole(h, resp)
		return nil
	}
	size, err := l.take(fetch, records)
	if err != nil {
		return err
	}
	defer l.putBack(fetch)
	if size < spliced {
		l.fill(fetch, size, records != nil)
		l.whole(h, resp)
		return nil
	}
	l.empty(fetch, records != nil)
	l.head = AppendResponse(l.head[:0], h.CorrelationID, resp)
	return l.splice(resp)
}

// whole makes the response one piece.
func (l *letter) whole(h Header, resp kmsg.Response) {
	l.head = AppendResponse(l.head[:0], h.CorrelationID, resp)
	l.pieces = append(l.pieces, slab.Borrow(l.head))
}

// take notes the records of a response, and what it has as RecordBatches. It returns how
// many bytes of records there are.
func (l *letter) take(fetch *kmsg.FetchResponse, records [][]slab.Span) (size int, err error) {
	l.records, l.sizes, l.kept, l.own = l.records[:0], l.sizes[:0], l.kept[:0], l.own[:0]
	for p := range partitionsOf(fetch) {
		l.kept = append(l.kept, p.RecordBatches)
		l.own = append(l.own, slab.Borrow(p.RecordBatches))
	}
	if records != nil && len(records) != len(l.kept) {
		return 0, fmt.Errorf("records of %d partitions, in a response of %d", len(records), len(l.kept))
	}
	for i := range l.kept {
		of := l.own[i : i+1]
		if records != nil {
			of = records[i]
		}
		l.records = append(l.records, of)
		l.sizes = append(l.sizes, slab.Size(of))
		size += l.sizes[i]
	}
	return size, nil
}

// partitionsOf yields the partitions of a response, in its order.
func partitionsOf(fetch *kmsg.FetchResponse) iter.Seq[*kmsg.FetchResponseTopicPartition] {
	return func(yield func(*kmsg.FetchResponseTopicPartition) bool) {
		for i := range fetch.Topics {
			for j := range fetch.Topics[i].Partitions {
				if !yield(&fetch.Topics[i].Partitions[j]) {
					return
				}
			}
		}
	}
}

var noBytes = []byte{}

// fill makes the records, so many bytes in all, RecordBatches, unless they are.
func (l *letter) fill(fetch *kmsg.FetchResponse, size int, given bool) {
	if !given {
		return
	}
	if l.joined == nil || cap(l.joined) < size { // empty records must not become null
		l.joined = make([]byte, 0, spliced)
	}
	n, at := 0, 0
	for p := range partitionsOf(fetch) {
		p.RecordBatches = slab.AppendTo(l.joined[at:at], l.records[n])
		at += l.sizes[n]
		n++
	}
}

// empty makes RecordBatches empty; what is null, and meant, stays null.
func (l *letter) empty(fetch *kmsg.FetchResponse, given bool) {
	for p := range partitionsOf(fetch) {
		if given || p.RecordBatches != nil {
			p.RecordBatches = noBytes
		}
	}
}

func (l *letter) putBack(fetch *kmsg.FetchResponse) {
	n := 0
	for p := range partitionsOf(fetch) {
		p.RecordBatches = l.kept[n]
		n++
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
	w := walker{b: body, found: l.places[:0], whole: size}
	if err := w.walk(layoutOf(resp)); err != nil {
		return err // of a response that kmsg has just written: it cannot be
	}
	l.places, l.ends = w.found, l.ends[:0]
	frame := size - 4
	for _, n := range l.sizes {
		if n > 0 {
			l.head = appendLength(l.head, n, flexible)
			frame += n - emptyBytes(flexible)
		}
		l.ends = append(l.ends, len(l.head))
	}
	frame += len(l.head) - size
	binary.BigEndian.PutUint32(l.head, uint32(frame))
	at, length := 0, size
	for i, spans := range l.records {
		if l.sizes[i] > 0 {
			l.pieces = append(l.pieces, slab.Borrow(l.head[at:l.places[i]]), slab.Borrow(l.head[length:l.ends[i]]))
			l.pieces = append(l.pieces, spans...)
			at = l.places[i] + emptyBytes(flexible)
		}
		length = l.ends[i]
	}
	l.pieces = append(l.pieces, slab.Borrow(l.head[at:size]))
	return nil
}

// appendLength appends what stands before the n bytes of a bytes field.
func appendLength(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return binary.AppendUvarint(dst, uint64(n)+1)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// emptyBytes is the size of a bytes field without bytes.
func emptyBytes(flexible bool) int {
	if flexible {
		return 1
	}
	return 4
}

// A spanwise connection takes a message in spans and sends it as one. It may keep those
// that are shared.
type spanwise interface {
	WriteSpans(spans []slab.Span) error
}

// A piecewise connection takes a message in pieces and sends it as one.
type piecewise interface {
	WritePieces(pieces net.Buffers) error
}

// send writes the frame, with one call if the connection can.
func (l *letter) send(nc net.Conn) error {
	if len(l.pieces) > 1 {
		switch nc := nc.(type) {
		case spanwise:
			return nc.WriteSpans(l.pieces)
		case piecewise:
			for _, piece := range l.pieces {
				l.buffers = append(l.buffers, piece.Bytes())
			}
			return nc.WritePieces(l.buffers)
		}
	}
	for _, piece := range l.pieces {
		if _, err := nc.Write(piece.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
