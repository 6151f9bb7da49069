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
	// response: at least one span, which is empty if there are none. What of them is
	// shared stays valid; the lists themselves stay until they are given back, or, if a
	// client is for one request at a time, until its next one. The RecordBatches of
	// the response itself are not to be looked at.
	Records [][]slab.Span

	frame *[]byte
}

// GiveBack lets the memory be used again. It need not be called.
func (b Borrowed) GiveBack() { giveBuffer(b.frame) }
