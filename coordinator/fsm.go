package coordinator

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/raft"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// fsm carries Raft's committed entries to the state, and what they change to
// brokers and to the event stream. Raft calls it on one goroutine; it neither waits
// nor takes a lock that a waiting caller could hold. It keeps nothing of a raft.Log.
type fsm struct {
	state   *state.State
	config  *metadata.BrokerConfig
	history *history
	events  event.Sink
	logger  *slog.Logger
	groups  groupTeller
	// applied is told of each entry by its receipt.
	applied func(node int32, number, term uint64, r state.Result)
}

// Apply carries out one entry and tells who waits for it. An entry without data changes nothing.
func (f *fsm) Apply(l *raft.Log) any {
	var result state.Result
	if len(l.Data) > 0 {
		result = f.command(l)
	}
	node, number := parseReceipt(l.Extensions)
	f.applied(node, number, l.Term, result)
	return nil
}

func (f *fsm) command(l *raft.Log) state.Result {
	cmd, err := state.DecodeCommand(l.Data)
	if err != nil {
		// The same on every node, so all of them go on alike.
		f.logger.Error("an entry of the Raft log is no command", "index", l.Index, "error", err)
		return state.Result{Err: fmt.Errorf("entry %d: %w", l.Index, err)}
	}
	offset, term := int64(l.Index), int32(l.Term)
	before := f.state.Image()
	result := f.state.Apply(offset, cmd)
	if len(result.Deltas) == 0 {
		return result
	}
	// Events first: what a broker does about a change comes after the change.
	events := append(eventsOf(before, result), f.groups.events(before, offset, result.Deltas)...)
	if len(events) > 0 {
		f.events.EmitAt(offset, events...)
	}
	f.history.publish(f.state.Image(), term, offset, wire.MetadataBatch(offset, term, metadata.AppendDeltas(nil, result.Deltas)))
	return result
}

// Snapshot captures the image, which nobody changes, and which is the whole state;
// Apply goes on while it is encoded.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	return fsmSnapshot{f.state.Image()}, nil
}

type fsmSnapshot struct{ image *metadata.Image }

func (s fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(s.image.AppendTo(nil)); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

func (s fsmSnapshot) Release() {}

// Restore replaces everything by a snapshot.
func (f *fsm) Restore(source io.ReadCloser) error {
	b, err := io.ReadAll(source)
	if err != nil {
		return err
	}
	s, err := state.Decode(b, f.config)
	if err != nil {
		return fmt.Errorf("a Raft snapshot: %w", err)
	}
	f.state, f.groups = s, groupTeller{}
	f.history.reset(s.Image(), 0)
	return nil
}
