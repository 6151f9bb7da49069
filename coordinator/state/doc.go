// Package state decides: who leads each partition, who is in sync, which broker
// counts, where a new topic's replicas lie. It is the state machine that every
// coordinator node feeds with the entries of its Raft log.
//
// It is no server. It has no goroutine, clock, socket or random source, and ranges
// over no map: a [Command] carries its time and its seed, and equal commands make
// equal states, byte for byte. Sessions, heartbeats and time-outs are package
// coordinator's, which turns what they mean into a command.
//
//	            ┌────────────────── State ──────────────────┐
//	Command ──► │ Apply(offset, c)                          │ ──► Result
//	            │   brokers.go     register, fence, ...     │       deltas for brokers
//	            │   partitions.go  AlterPartition, elect    │       an answer for each item
//	            │   topics.go      create, delete           │       elections and why
//	            │        └──► wish ──► rules.decide         │       who joined, who left
//	            └───────────────────────────────────────────┘
//
// # The rules
//
//   - Decide at apply time. Nothing is decided before an entry is committed, so there
//     is no moment between check and act. The brokers see the deltas and elect nothing.
//   - A command names the epoch that it presumes. If that is over, nothing happens: a
//     fencing that comes late cannot hit the broker's next process.
//   - One command may change ten thousand partitions: the death of a broker is one
//     entry, and takes about ten milliseconds.
//   - Every change of a partition raises its partition epoch by one; a new leader, or
//     none, raises the leader epoch too. What changes nothing raises nothing.
//   - A broker that is fenced or shutting down is in no ISR and leads nothing. So a
//     partition has a leader exactly while its ISR has a member.
//   - Who leaves the ISR while it is below min ISR stays eligible (ELR, KIP-966). The
//     high watermark stands still below min ISR, so the eligible hold everything that
//     was committed. With min ISR members in sync the ELR is empty.
//   - A restart that may have lost data ends membership: the broker leaves every ISR and
//     ELR. A clean one proves itself by the epoch that it left on disk, unless it was
//     unfenced under a later one.
//   - Of groups the command holds the decision itself, made on the active coordinator: here it
//     is only compared and set, and kept within bounds (groups.go).
//
// # Elections
//
// A leader that may stay, stays. Otherwise, in the order of the replicas:
//
//  1. the preferred replica, if that was asked for and it is in the ISR and live;
//  2. the first live member of the ISR;
//  3. the ISR is empty: the first live member of the ELR, which is then the ISR;
//  4. ISR and ELR are empty: the last known leader if it is live. It may have lost
//     what it acknowledged: called unclean, and the leader is recovering;
//  5. unclean elections are enabled or asked for: the first live replica. Its log is the
//     truth from now on, whatever others had; nobody else is eligible any more;
//  6. nobody. The next broker to be unfenced is tried at once.
//
// Controlled shutdown (KIP-841) knows no exception: where the broker was the last one
// in sync, the partition waits for it without a leader. It is eligible, and a clean
// restart leads again. (Kafka does the same since it has the ELR.)
//
// # What else it keeps
//
// Nothing: the [metadata.Image] is all of the state, so a Raft snapshot and what a
// far-behind broker is sent are the same bytes.
//
// Start reading at command.go, then election.go. The stories in testdata/stories tell
// each rule as a sequence of commands and what came of them.
package state
