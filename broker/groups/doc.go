// Package groups is a broker's part in consumer groups.
//
// What members ask is decided by the active coordinator (coordinator/groups.go, by the machines of package
// consumergroup), and what they have committed is in __consumer_offsets. The broker that leads
// a group's partition of that topic stands between the two and the group: the group's broker.
//
//	members ──► api_members.go ──► relay.go ──► the active coordinator
//	   │                              ▲ passes an answer on when its facts are replayed, the shard has
//	   │                              │ settled, and no promise forbids it
//	   └─────► api_offset_commit.go ──► shard.go ──► the replica of __consumer_offsets
//
// # Rules
//
//   - A commit is let in by the replayed facts, under the slot that orders it (shard.go). So no
//     commit that older facts allowed is appended after somebody was told of newer ones.
//   - A new leader of a partition of __consumer_offsets serves nobody before a record of its own
//     epoch is committed (load.go): nothing that a deposed broker let in comes back.
//   - What is shown as committed is committed in its log, too (shard.go: committed).
//   - Who was told, by this broker alone, that it is a member owns what it owns for its session
//     (promises.go), and the coordinator hears of it sooner or later (alive.go). A broker
//     that may be fenced says nothing by itself (groups.go: speaks).
//   - Offsets that are too old go by tombstones, and a group that has neither members nor offsets
//     with them (expire.go).
//
// A Groups has one lock for its shards; a shard has its slot, which is held across an append, and a leaf
// for its table. Neither begins a goroutine that its broker does not join.
//
// Start reading at groups.go, then api_members.go with relay.go, then api_offset_commit.go with shard.go.
package groups
