// Package broker is a Kafka server that hosts replicas.
//
// A broker owns a disk with the logs of its replicas and two doors: INTERNAL, for
// the other nodes, and CLIENTS. Behind both stands one handler that speaks
// Kafka's protocol. It decides nothing about the cluster: which replicas it hosts
// and which of them lead is decided by the active coordinator, and reaches it as
// the log __cluster_metadata. It decides nothing about a partition either: that is
// package replication's. What is left is the subject of this package: to carry
// bytes between those who decide, and to begin and end cleanly.
//
//	 clients, followers                            coordinator nodes
//	       │                                    ▲      ▲      │      ▲
//	       ▼ Produce, Fetch, ...     heartbeats │      │      │      │ admin requests,
//	┌─────────────┐   ┌──────────────────────┐  │      │      │      │ producer ids
//	│ wire.Server │   │ session              ├──┘      │      │      │
//	└──────┬──────┘   └──────────────────────┘         │      │      │
//	       ▼                                    AlterPartition│      │
//	┌─────────────┐   forward                          │      │      │
//	│ Handle      ├─────────────────────────────────────────────────-┘
//	│ (api_*.go)  │   ┌──────────────────────┐         │      ▼ __cluster_metadata
//	└──────┬──────┘   │ alterer              ├─────────┘   ┌───────────────────┐
//	       │          └──────────▲───────────┘             │ metadata follower │
//	       │                     │ proposals               └────┬──────────┬───┘
//	       ▼                     │                              │          │ image
//	┌────────────────────────────┴──┐  make, delete, instruct   │          ▼
//	│ replicas (replication.Replica)│◄──────────────────────────┘       handlers
//	│ each with its partition.Log   │
//	└───────▲───────────────────────┘
//	        │ append, truncate
//	┌───────┴───────┐  Fetch   ┌────────────────┐
//	│ fetchers      ├─────────►│ leader brokers │   one for each, over peer.go
//	└───────────────┘          └────────────────┘
//
// # Rules
//
//   - A broker holds no pointer to another node: only a dial function and addresses.
//     Each purpose has a connection of its own, so that a long poll delays no
//     heartbeat and an admin request no ISR change.
//   - Replicas change on the metadata log's word alone, in its order, and never
//     before the log contains the broker's own registration: an older state may
//     speak of deleted topics whose names are those of live logs.
//   - An image is shown to the world after the replicas were told of it. Who is
//     shown a new leader finds it leading.
//   - The metadata follower waits for no partition's disk, except to make a new log.
//     Roles that need the disk are taken elsewhere (settling.go), and logs are
//     deleted elsewhere (removals.go).
//   - The disk knows under which epoch the broker is registered before the broker
//     asks to be unfenced. That, the disk's session and the clean-shutdown file say
//     at the next start whether anything that others count on can be lost
//     (incarnation.go, KIP-966).
//   - The disk remembers where a log starts before anybody is told that it does: the
//     client of a DeleteRecords, or the leader by a follower's fetch (log_starts.go).
//     A disk that cannot tell any more proves nothing.
//   - A disk that fails takes the broker down, through Config.Failed, and so does
//     damage below a leader that another can replace. Nothing is retried.
//   - What a timer started passes the gate before it decides anything, so that a
//     paused broker wakes up to what is true then.
//   - What is asked of consumer groups is package groups' business.
//   - Bad input is an answer or a closed connection.
//
// # Life
//
// Start opens the disk, recovers every log and judges the restart; serves; and
// registers in the background. The answer to the registration is the broker epoch.
// From then on the metadata log is followed; once it has come to the registration,
// the replicas are made and heartbeats ask for the broker to be unfenced. Shutdown
// has leaderships moved away first, Stop ends at once but cleanly, Close ends like
// a crash. All three join every goroutine.
//
// # The disk
//
//	meta.properties                 whose disk it is
//	broker-epoch                    the last registration and its disk session
//	.kafka_cleanshutdown            while cleanly stopped: the epoch, and every log's end
//	replication-offset-checkpoint   high watermarks
//	log-start-offset-checkpoint     where logs start, if not where their files do
//	cleaner-offset-checkpoint       how far each log is compacted
//	orders-0/                       one log: see package partition
//
// # Where to start reading
//
// broker.go puts the parts together. Then follow a registration: registration.go,
// heartbeat.go, coordinator_channel.go. Then a change of the cluster: metadata.go,
// replicas.go, fetchers.go. Then a record: dispatch.go, api_produce.go, api_fetch.go
// and, from the other side, peer.go. Then a group: api_find_coordinator.go, and package groups.
package broker
