package wire

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/slab"
)

// A Request is what a client asks. The byte fields of its body (records) share
// the memory of the frame that it came in: they are valid until its reply has
// been written, or, when the reply has none to write, until Handle has
// returned and what Reply.Later is has returned too.
type Request struct {
	Header
	Body     kmsg.Request
	Conn     *Conn
	Received time.Time // when the frame was whole
}

// A Reply is what a handler returns. Replies of a connection are written in
// the order of its requests, but for those that are Apart.
type Reply struct {
	// Response is sent; its version is set to the request's.
	Response kmsg.Response

	// Records are, of a fetch, the records of each partition in the order of the response,
	// whose own RecordBatches are not looked at then. nil: those are meant.
	Records [][]slab.Span

	// Later, if set, gives the response instead. Whatever it waits for, the
	// connection's next request begins meanwhile. It is called exactly once, by
	// the connection's writer, also if there is None to send; what it waits for
	// must end with the handler's ctx, or be a call of the disk.
	// A nil response closes the connection, unless None was to be sent.
	Later func() kmsg.Response

	// Apart, with Later, takes the response out of the order: it is written once it is
	// there, and holds nothing back. Only for a peer that tells answers apart by their
	// correlation ids, as another node does and a client of Kafka's does not. Later is
	// called on a goroutine of its own then.
	Apart bool

	// None sends nothing: a produce request with acks=0.
	None bool

	// Close closes the connection, after this reply and all before it.
	Close bool

	// Release, if set, is called exactly once, when the response has been
	// written or never will be: to give buffers back.
	Release func()
}

// A Handler answers requests. The requests of one connection are begun in
// their order, each when the one before it has returned from Handle; those of
// different connections are concurrent. ctx ends when the connection does,
// also while Handle waits, for the next frame is read ahead; only that of a prompt request
// (ServerConfig.Prompt) may end later, but not later than its reply.
type Handler interface {
	Handle(ctx context.Context, r *Request) Reply
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, r *Request) Reply

// Handle implements [Handler].
func (f HandlerFunc) Handle(ctx context.Context, r *Request) Reply { return f(ctx, r) }
