// Package event is the one stream of everything that happens in a cluster.
//
// Demonstrations narrate it, the trace is it, conditions are woken by it, the
// invariants read it and a failed test prints the end of it. So every event is
// typed, numbered, timed, and says which earlier event made it happen:
//
//	41 broker.killed     broker-2
//	42 broker.gone       broker 2, epoch 7         because of 41
//	43 broker.fenced     broker 2, epoch 7         because of 42
//	44 leader.elected    orders-0, broker 3        because of 43
//	45 log.truncated     broker-1, orders-0        because of 44
//
// It is not a log for machines to be restored from (that is the metadata log),
// and nothing in the cluster ever reads it to decide something.
//
// # Rules
//
//   - A Sink never blocks the one who emits. Log keeps the newest events in a
//     ring; a reader who falls behind is told how many it has lost.
//   - Causes never travel between nodes. Whoever emits an event names its Key,
//     made of epochs that everybody concerned knows; what follows from it names
//     that key in Because. Log joins the two.
//   - What the metadata log decides is applied by every coordinator node, so
//     such events go through EmitAt: the first node that applied an entry is
//     heard, the others are not.
//   - Frequent events cost nothing while nobody wants them: ask Wants first.
//   - An event and what its Data holds are never changed after Emit.
//
// # Reading it
//
// [Log.Since] yields events in order and then waits for more. [Log.Changed] is
// for those who only want to look again at something when anything has happened.
// [Narrate] says an event in the plain words of the field, and [Narrator] puts
// the time since some moment in front, and is quiet about the fifty partitions of an
// internal topic unless it is asked. [Trace] writes one JSON object a line.
//
// Start reading at event.go (what an event is), then kind.go (which there are
// and what Data holds), key.go, log.go, narrate.go, narrator.go.
package event
