package wire

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// Borrowed is a response whose byte fields lie in memory that is used again once it is
// given back. The zero Borrowed stands for none.
type Borrowed struct {
	Response kmsg.Response

	// Records are, of a fetch, the records of each partition in the order of the
	// response. What of them is shared stays valid. The RecordBatches of the response
	// itself are not to be looked at.
	Records [][]slab.Span

	frame *[]byte
}

func borrowed(resp kmsg.Response, frame *[]byte) Borrowed {
	b := Borrowed{Response: resp, frame: frame}
	fetch, ok := resp.(*kmsg.FetchResponse)
	if !ok {
		return b
	}
	for i := range fetch.Topics {
		for j := range fetch.Topics[i].Partitions {
			b.Records = append(b.Records, []slab.Span{slab.Borrow(fetch.Topics[i].Partitions[j].RecordBatches)})
		}
	}
	return b
}

// GiveBack lets the memory be used again. It need not be called.
func (b Borrowed) GiveBack() { giveBuffer(b.frame) }
