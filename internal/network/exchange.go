package network

import (
	"slices"
	"sync"
	"sync/atomic"
)

// An exchange is what the two directions of a Kafka connection know of each
// other: which requests wait for a response, oldest first.
type exchange struct {
	reset  func()         // resets the connection
	inject func([]answer) // sends made-up answers to the client

	special atomic.Int32 // calls that an interceptor is interested in

	mu    sync.Mutex
	calls []call
}

// A call is a request without its response. Brokers answer in order, so a
// response ends all older calls too.
type call struct {
	id         int32
	onResponse Action
	answer     *answer // made up; goes out when no older call waits
}

func (c call) special() bool { return c.onResponse != nil || c.answer != nil }

// maxCalls bounds what is remembered of requests that never get a response.
const maxCalls = 4096

// asked remembers a request and sends what is due: its own made-up answer, if
// nothing older waits.
func (x *exchange) asked(c call) {
	x.mu.Lock()
	if len(x.calls) == maxCalls {
		x.forgetLocked(1)
	}
	x.calls = append(x.calls, c)
	if c.special() {
		x.special.Add(1)
	}
	due := x.dueLocked()
	x.mu.Unlock()
	if len(due) > 0 {
		x.inject(due)
	}
}

// answered ends the call that a response belongs to, and all older ones. It
// returns what to do with the response, and which made-up answers go out
// before and after it.
func (x *exchange) answered(id int32) (do Action, before, after []answer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := slices.IndexFunc(x.calls, func(c call) bool { return c.id == id && c.answer == nil })
	if at < 0 {
		return nil, nil, nil
	}
	do = x.calls[at].onResponse
	for i := range at {
		if a := x.calls[i].answer; a != nil {
			before = append(before, *a)
		}
	}
	x.forgetLocked(at + 1)
	return do, before, x.dueLocked()
}

func (x *exchange) dueLocked() (due []answer) {
	for len(x.calls) > 0 && x.calls[0].answer != nil {
		due = append(due, *x.calls[0].answer)
		x.forgetLocked(1)
	}
	return due
}

func (x *exchange) forgetLocked(n int) {
	for i := range n {
		if x.calls[i].special() {
			x.special.Add(-1)
		}
	}
	x.calls = slices.Delete(x.calls, 0, n)
}

// armed reports whether an interceptor waits for some response.
func (x *exchange) armed() bool { return x.special.Load() > 0 }
