// Package simulation runs whole clusters through misfortunes drawn from a seed,
// and judges what came of it.
//
// One run is one cluster of real nodes with real clients (kgo) in a bubble of
// virtual time. A seed becomes a Plan: how many brokers and coordinator nodes,
// topics and their replication, timings, segment sizes, producers and readers,
// and which faults are enabled; every seed enables others, because a fault that is
// always there hides what only its absence shows. Then a nemesis does harm, several
// faults at a time, while producers write, readers read and a watch looks at
// everything:
//
//	            ┌── producers ──► History ◄── readers
//	Plan ──► cluster                 │
//	            ▲      └── watch ────┤  (god view, every 100 ms)
//	            └── nemesis          ▼
//	                         heal, wait, read all back, Check
//
// # What must hold
//
//   - What was acknowledged by all in-sync replicas is there, where the ack said.
//   - No record of an idempotent producer is there twice under one numbering
//     (producer id and epoch), acknowledged or not.
//   - Two readers never see different records at an offset; no reader goes back,
//     skips, or is told that what it has read is gone.
//   - A record that was sent after another one's ack comes after it in the log.
//   - The rules of internal/invariant; whoever may lead holds all that was
//     committed; epochs rise; no high watermark goes back while its leader leads.
//   - When all is healed, the cluster is whole and level within a minute, every
//     send is answered, and at the end no goroutine is left.
//   - What is deleted stays deleted, and nothing else goes: topics age, have their
//     records deleted, or are compacted. Of a compacted one the newest acknowledged
//     record of every key is there, and none that is older comes back as the newest.
//   - Of groups (Plan.WithGroups): no two members own a partition, unless one of them was not
//     heard for as long as the group waits for it. A commit that was refused, or came too
//     late, is never shown; one that was acknowledged is what the next owner begins with, or
//     a newer one; everything below it was given to a member. Generations rise. At the end
//     each group is Stable and has committed everything.
//
// # What may be lost
//
// A process crash loses nothing. Power loss and wiped disks lose what was not
// synced, and a flipped bit the records around it, so the nemesis counts: brokers
// that have lost records and are not back in every ISR yet must be fewer than the
// smallest min.insync.replicas. With
// flush.messages=1 (Plan.Synced) power may fail as often as it likes. Records with
// acks=1 may be lost whenever a leader changes; they are only counted. No topic
// allows unclean elections.
//
// # How far a run can be played again
//
// A seed decides the plan and everything that the nemesis and the clients draw.
// The order in which goroutines that are ready at the same virtual moment run is
// the scheduler's, and not seeded: the same seed gives the same sort of run, not
// the same run. What fails once in ten runs of a seed is found with -count.
//
//	go test -tags synctests ./simulation -seeds 500        (or: make sim SEEDS=500)
//	go test -tags synctests ./simulation -run TestSimulation -seed 94 -seeds 1 -count 20
//
// The tests also show that all of this can fail: wrong histories are found, and
// so are clusters with one guard of the protocol removed (internal/guard).
//
// Start reading at run.go.
package simulation
