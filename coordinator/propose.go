package coordinator

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
)

// propose commits one command and returns what it did. ctx must be of the active
// coordinator's term. The error is ErrNotController whenever the outcome is not
// known: the command may have been carried out, may be yet, or never will be.
func (n *Node) propose(ctx context.Context, c state.Command) (state.Result, error) {
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-ctx.Done():
		return state.Result{}, unknownOutcome(ctx)
	}
	result, err := n.submit(ctx, state.EncodeCommand(c))
	if err != nil {
		return result, err
	}
	return result, result.Err
}

// verify reports, as an error, that this node may have been deposed by the time
// that it was asked. Call it after reading what is to be answered: a read before it
// was then the newest there is. It commits an entry that changes nothing.
func (n *Node) verify(ctx context.Context) error {
	_, err := n.submit(ctx, nil)
	return err
}

// submit hands one entry to Raft and waits until this node's fsm has applied it, or
// ctx ends, as it does when this node loses the leadership. It does not wait for
// Raft's own future: a node that is shut down between commit and apply never
// answers that. Whatever else may become of an entry costs Raft the leadership.
func (n *Node) submit(ctx context.Context, data []byte) (state.Result, error) {
	r := n.raft.Load()
	number, applied := n.submissions.begin(r.CurrentTerm())
	defer n.submissions.end(number)
	r.ApplyLog(raft.Log{Data: data, Extensions: receipt(n.cfg.ID, number)}, 0)
	select {
	case result := <-applied:
		return result, nil
	case <-ctx.Done():
		return state.Result{}, unknownOutcome(ctx)
	}
}

func unknownOutcome(ctx context.Context) error {
	return fmt.Errorf("%w: it was deposed or is ending: %w", metadata.ErrNotController, context.Cause(ctx))
}

// submissions are the entries that this node has handed to Raft and awaits. Safe for
// concurrent use; its lock is held for nothing that waits.
type submissions struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]submission
}

type submission struct {
	term    uint64 // not before this one: an older incarnation counted from 1 too
	applied chan state.Result
}

func (s *submissions) begin(term uint64) (number uint64, applied <-chan state.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	w := submission{term, make(chan state.Result, 1)}
	if s.waiting == nil {
		s.waiting = map[uint64]submission{}
	}
	s.waiting[s.last] = w
	return s.last, w.applied
}

func (s *submissions) end(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, number)
}

// applied tells who waits for an entry what it did.
func (s *submissions) applied(number, term uint64, result state.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.waiting[number]; ok && term >= w.term {
		w.applied <- result // has room for it
		delete(s.waiting, number)
	}
}

// receipt is what an entry carries to tell who awaits it.
func receipt(node int32, number uint64) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(node))
	return binary.BigEndian.AppendUint64(b, number)
}

func parseReceipt(b []byte) (node int32, number uint64) {
	if len(b) != 12 {
		return noNode, 0
	}
	return int32(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint64(b[4:])
}
