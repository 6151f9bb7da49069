package coordinator

import (
	"context"
	"sync"
)

// noNode stands for a coordinator node that is not known.
const noNode int32 = -1

// quorum is what Raft says of who leads, kept where nobody who asks can hold Raft
// up. Safe for concurrent use.
type quorum struct {
	parent context.Context // of every turn
	turned chan struct{}   // one slot: this node gained or lost the leadership

	mu      sync.Mutex
	leading bool
	turn    context.Context // ends at the next gain or loss
	end     context.CancelFunc
	known   int32         // the node that leads, as far as this one knows
	before  int32         // the one that led before it
	news    chan struct{} // closed and replaced when known changes, or readiness does
}

func newQuorum(parent context.Context) *quorum {
	q := &quorum{parent: parent, turned: make(chan struct{}, 1), known: noNode, before: noNode, news: make(chan struct{})}
	q.turn, q.end = context.WithCancel(parent)
	return q
}

// lead notes that this node gained or lost the leadership.
func (q *quorum) lead(leading bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end()
	q.turn, q.end = context.WithCancel(q.parent)
	q.leading = leading
	select {
	case q.turned <- struct{}{}:
	default:
	}
}

// mine reports whether this node leads, with a context that ends when that changes.
func (q *quorum) mine() (turn context.Context, leading bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.turn, q.leading
}

// follow notes which node leads.
func (q *quorum) follow(id int32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if id == q.known {
		return
	}
	if q.known != noNode {
		q.before = q.known
	}
	q.known = id
	q.tellLocked()
}

// leader returns the node that leads, or noNode, and what is closed when that changes.
func (q *quorum) leader() (id int32, news <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.known, q.news
}

// previous is the node that led before the one that leads now, or noNode.
func (q *quorum) previous() int32 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.before
}

// tell wakes who waits for news.
func (q *quorum) tell() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tellLocked()
}

func (q *quorum) tellLocked() {
	close(q.news)
	q.news = make(chan struct{})
}
