// Package replication makes the replicas of one partition agree.
//
// Four rules keep a committed record from being lost. Everything else here
// follows from them or makes them fast.
//
//  1. A log is truncated where the leader epochs part, and for no other reason
//     (KIP-101, KIP-279, KIP-320). Not at the high watermark: that reaches a
//     follower one fetch late, and a record above it may be committed.
//  2. The high watermark is the smallest log end of the maximal ISR: everybody
//     who is in sync or is only proposed to be (KIP-497). It stands still while
//     the ISR is smaller than min.insync.replicas (KIP-966), so whoever leaves
//     the ISR then has all that is committed, and stays eligible.
//  3. The ISR changes by compare-and-set on the partition epoch, one proposal at
//     a time, and a leader believes that it changed when the metadata log says so.
//  4. An ack is keyed by leader epoch and offset. That offset 42 is committed
//     under epoch 3 says nothing about what was put there under epoch 2.
//
// A committed record is one below the high watermark of a leader. An elected
// leader comes from the ISR or the ELR, each of them has every committed record
// (2, 3), and nobody drops one (1). What a producer was told is true of the
// record that it sent (4).
//
// # Who does what
//
//	         produce                                fetch (consumers)
//	            │                                      ▲ below the high watermark
//	            ▼                                      │
//	┌── Replica, leading ──────────────────────────────┴───┐
//	│  Append ──► partition.Log ──► Leader.Appended        │
//	│                                  │                   │   Proposal
//	│  AwaitCommitted ◄── Watermark ◄──┤ Leader: progress, ├──────────────► coordinator
//	│                                  │ high watermark,   │   (AlterPartition)
//	│  Read ───────────► Leader.Fetched┘ ISR               │◄────────────── metadata log:
//	└──▲───────────────────────────────────────────────────┘   Apply
//	   │ FetchRequest: offset, its last epoch, leader epoch
//	   │ answer: records and high watermark, or where the histories part
//	┌──┴── Fetcher: one goroutine for each pair of brokers ┐
//	│  Replica, following: Follower decides to append, cut │
//	│  or reset its log                                    │
//	└──────────────────────────────────────────────────────┘
//
// [Leader] and [Follower] decide. They are told what happens, with the time, and
// return what follows; they have no goroutine, lock, clock or disk, and each
// decision can be read on one screen and tested with a table.
//
// [Replica] and [Fetcher] do. A Replica owns a log and a role. It belongs to
// whoever calls it: a request's goroutine appends, reads, and waits in
// AwaitCommitted until the [Watermark] has passed what it wrote. A Fetcher has
// the one goroutine that copies from one other broker.
//
// # A record's way
//
// Append writes it to the leader's log with the next offset and the leader epoch. If
// the topic asks for a sync, AwaitSynced waits for one, shared with all that was
// written meanwhile, before anybody may see it and the leader counts it.
// A follower's fetch names the offset where its log ends and the epoch of the
// record before; if the leader has another epoch there, it answers where that
// epoch ends in its own history instead of records, and the follower cuts and
// asks again. The records go into the follower's log byte by byte. Only the
// *next* fetch tells the leader that they are written. Then the high watermark
// moves, the producer is answered, and the fetch's answer takes the new high
// watermark back to the follower.
//
// # A leadership's way
//
// The coordinator elects; the metadata log tells. Apply ends the old role at once:
// from then on requests are refused and waiters are told that their leadership
// is over. The new role begins as soon as nobody writes to the log any more. A
// batch that was being written when the news came thus lies wholly before it,
// belongs to the old epoch, and is not acked. A new leader keeps the high
// watermark it had as a follower; how far its followers are it learns from
// fetches in its own epoch only. A new follower changes nothing until a fetch
// has found where the histories part.
//
// A leader that reads damage stops if another one can lead; see damage.go.
//
// Nothing waits for a disk under a lock, and the metadata log waits for no disk
// at all: a broker whose disk hangs still hears that it was deposed.
//
// # What is deleted
//
// A log start is moved by DeleteRecords (KIP-107) or retention, and travels like a
// high watermark: with the leader's answer to the follower, with the follower's next
// fetch back. The low watermark is the smallest of them, and a DeleteRecords is
// answered when it has come so far. Three rules keep what was answered from coming
// back. A follower tells a start only when its disk remembers it. The low watermark
// waits for the living, and for everybody who could be elected as he is: the maximal
// ISR and the ELR. And nobody joins the ISR with a log that starts before the
// leader's.
//
// # What it is not
//
// It elects nobody: coordinator/state does. It knows no bytes of the protocol:
// package broker translates Fetch and implements [LeaderEndpoint]. It stores
// nothing but through [partition.Log]; the broker checkpoints high watermarks, and
// log starts when asked to ([StartKeeper]).
//
// # Where to start
//
// testdata: each file is a story of a bug that Kafka once had, and what prevents
// it here. TestMutantsAreKilled takes one rule away at a time and shows which
// story then ends badly. After that leader.go and isr.go, follower.go, replica.go
// and fetcher.go, in this order.
package replication
