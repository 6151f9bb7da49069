// Package coordinator decides the state of the cluster: which brokers live, which
// topics there are, who leads each partition and who is in sync. It is what Kafka
// calls the controller.
//
// One, three or five nodes agree by Raft; one of them is active and decides, the
// others stand by and tell brokers what was decided. Any minority may crash, and all
// of them may restart. The package is not a general store: what it decides is package
// state's, pure and deterministic, and what it says is said in Kafka's own messages
// over package wire. It never calls a broker, except to find out whether it lives.
//
// # From a request to a broker
//
//	broker                        active node                    other nodes
//	──────                        ───────────                    ───────────
//	AlterPartition, heartbeat ──► rpc_*.go: a state.Command
//	                              propose ──► Raft log ────────► Raft log
//	                                            │ a majority       │ told of the
//	                                            │ has stored it    │ commit later
//	                                          fsm.Apply          fsm.Apply
//	                                            │ state.Apply decides, the same on all
//	                                            ├─► events (EmitAt: told once)
//	                                            ├─► history: image, deltas
//	◄── answer ─────────────────────────────────┘     │
//	Fetch __cluster_metadata, long poll ──────────────┘ ◄── from any node
//
// Raft's log holds commands: what somebody asked for, with the epoch that it
// presumes. Elections and all else that follows happens when the entry is applied, so
// ten thousand partitions of a dead broker are one entry, and a late command about an
// older incarnation does nothing. What changed leaves as deltas, numbered by the
// index of their entry: the metadata offset. Entries that change nothing are not
// told, so the numbers have gaps. Raft's term stays in here, but for the leader epoch
// of the metadata log.
//
// # The metadata log
//
// Brokers Fetch partition 0 of the topic __cluster_metadata, id 00…01, from any node:
//
//   - FetchOffset is the next offset wanted, the newest applied one plus 1. The answer
//     holds changes at and above it, one record batch each (wire.MetadataBatch), only
//     committed ones. HighWatermark is the offset of the newest change this node knows
//     to be committed, plus 1; a broker that has applied HighWatermark-1 has caught up
//     with this node.
//   - A node keeps the newest few thousand changes. If FetchOffset lies before them the
//     answer has no records but a SnapshotID; FetchSnapshot brings that image,
//     metadata.Image encoded, piece by piece. EndOffset is exclusive, like all ends:
//     it is the image's Offset() plus 1, and the FetchOffset to go on with.
//     SNAPSHOT_NOT_FOUND means to Fetch again and be given a newer one.
//   - CurrentLeader names the active node. Follow that one: the others learn of a commit
//     with Raft's next message, which may take CommitTimeout twice (a second). A long
//     poll ends early when the active node changes.
//
// Answers on a connection go out in the order of the requests, and a long poll holds
// back those behind it. So a broker has one connection for its session (registration
// and heartbeats), and others for the metadata log and for everything else.
//
// # Sessions
//
// Only the active node has them (active.go; the rules are in sessions.go, pure). A
// registration begins a session and each heartbeat renews it, under one broker epoch.
// A heartbeat that comes from an unfenced broker which has not applied what was
// committed one session ago renews nothing: the others would wait for it in vain.
// Whoever becomes active gives every unfenced broker a full session, after a Raft
// barrier, and so does a node that finds that it was itself asleep. A failover of
// the coordinator therefore fences nobody.
//
// Death and silence differ. When the connection that a broker's last heartbeat came by
// is closed, the active node dials the broker's INTERNAL listener once. Refused means
// that no process is there: the broker is fenced now (broker.gone). Anything else means
// nothing, and silence ends the session after its timeout (session.expired).
//
// A fenced broker is unfenced by a heartbeat that shows it has applied its own
// registration. A broker that wants to shut down is told so only when it leads
// nothing and every active broker has applied the change that took its last leadership.
//
// # Groups
//
//	the group's broker             active node                       every node, every broker
//	──────────────────             ───────────                       ────────────────────────
//	JoinGroup, SyncGroup,          rpc_groups.go
//	Heartbeat, LeaveGroup ───────► groups.ask ──► consumergroup.Group
//	in an Envelope, with                            │ Propose
//	a wire.Relay                                    ▼
//	                               state.ChangeGroup ──► Raft ─────► metadata.GroupChanged
//	◄── answer, shown up to        Committed ◄────────────┘
//
// While a node is active it runs a machine for each group that has something to do
// (groups.go): one goroutine owns them all and waits for nothing but events; entries are carried
// out on others, and what became of them is an event. ChangeGroup is compare and set on the
// metadata offset of the group's newest fact, and an entry that
// forms a generation, or that would make too much of what is kept, is the whole group. What is in the entries only consumergroup knows.
//
//   - The Envelope of a relayed request has a tagged field, a wire.Relay: which broker relays, in
//     which leader epoch of the group's partition of __consumer_offsets, the id of a new
//     member, the client's host. The answer's has another one: the metadata offset of the newest
//     fact that it shows. Both are tags that Kafka does not have.
//   - Answers to relayed requests are given as they come, not in the order of the requests: a
//     JoinGroup may wait for minutes.
//   - Only the group's broker, in the epoch that this node knows, is heard. Others are told
//     NOT_COORDINATOR in the answer. When the leadership changes members get full sessions.
//   - A deposed node answers all who wait NOT_CONTROLLER in the envelope: whether the request
//     was carried out is not known, and the broker may ask the next node the same.
//   - What is due for a member ends only once its broker was heard after it was due; a
//     broker's silence of three heartbeats is no time for its members. So they expire neither for
//     its death nor for this node's own sleep.
//   - Whoever becomes active rebuilds the groups that have members at once, others when
//     somebody asks for them.
//
// # What holds
//
//   - Only what is committed is told, and only in order. An answer that says "done"
//     goes out after the entry is in this node's history.
//   - A command whose outcome Raft does not know is answered NOT_CONTROLLER; every
//     command may be sent again without harm.
//   - What must be newest is read from the fsm first, and only then does an empty entry
//     prove that this node still leads (verify): the other order has a window.
//   - Nobody waits for Raft's futures but for the fsm or the end of the term
//     (propose.go): a node shut down between commit and apply forgets its futures.
//   - Nothing in here transfers leadership; Raft's transfer can get stuck. A new cluster
//     uses the last step of one alone, to elect at once (campaign.go).
//   - A node whose disk fails crashes, alone: it closes itself and says so (Config.Failed).
//     Raft would panic instead, and take the user's process along; see store.go.
//   - Close returns when every goroutine has ended, also while the node is paused or cut off.
//
// # Reading order
//
// node.go, raft.go and campaign.go (the life of a node), propose.go, fsm.go and
// history.go (an entry's way), active.go and sessions.go, groups.go and groups_*.go, then the APIs: one file
// each, rpc_*.go. journal.go,
// ops.go, store.go and snapshots.go are Raft's disk in memory; with Config.Database
// store_bolt.go takes the place of the first three, and identity.go says whose directory it
// is; bolt_check.go looks for damage in it. stream.go and transport.go are Raft's network.
package coordinator
