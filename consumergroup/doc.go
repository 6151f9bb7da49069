// Package consumergroup is the life of one group: who is a member, which
// generation is at work, what each member was given, and when that is over.
//
// It is pure. A [Group] is told what happens, with the time, and returns what
// follows: answers to requests, facts to commit, when to be asked again. It has no
// goroutine, lock, clock or random source, ranges over no map, and knows neither
// Raft nor the protocol's bytes. It does not know offsets either: those are records of
// __consumer_offsets, and here is only the fence that guards them.
//
// # Where a group lives
//
//	members             the group's broker                    the active coordinator
//	───────             leads the group's partition           runs the Group
//	                    of __consumer_offsets
//	JoinGroup,
//	SyncGroup, ... ───► makes a member id, relays ──────────► Handle
//	                                                            │ Propose: facts
//	                                                            ▼
//	                                                       Raft: one entry
//	                                                            │
//	                    Replay ◄───── metadata log ◄────────────┤
//	                      │ up to Answer.Offset                 ▼
//	◄── answer ◄──────────┴─────────────────────────────── Committed: the answers
//
//	OffsetCommit ─────► CheckCommit, by the facts replayed,
//	                    under the lock that appends ──► Alive (a heartbeat)
//
// Elsewhere the Raft log holds commands and the decision falls when they are applied.
// Here many small things precede one decision (who has rejoined, whose session
// runs out), so the coordinator decides, and the entry holds the result: a list of
// [Fact]. Replay makes [Facts] of them, the same on every coordinator node and every
// broker. What a member may rely on is a fact: state, generation, protocol, leader,
// and of each member its id, instance, timeouts, subscription and assignment. Its
// epoch is the generation. What only matters to who waits is none: a new member
// before its first generation, ids given out and not used yet, every deadline.
//
// # The rules
//
//  1. A generation is formed when every member has rejoined or had its time to. Who
//     rejoins has given up what it must, so no two members work on one partition.
//  2. Nobody is told what is not committed. Answers that may show a fact wait for its
//     entry, and carry its offset; the broker holds them until it has replayed up
//     to there. So when a member of the new generation begins, commits of the
//     old one are refused already, and a coordinator that was deposed has told nothing.
//  3. One proposal at a time. What comes meanwhile waits, and is then decided together:
//     a thousand members that leave at once are two entries.
//  4. Time stands still while a proposal is under way and while the group's broker is
//     silent (Freeze, Thaw): nobody could be heard, so nobody is late.
//  5. A commit names member, instance and generation, and each must be the current one.
//     Only an empty group takes commits of who names none.
//  6. A member id is made by the group's broker before it relays the first time. A
//     join that comes again has the same, and is the same member's: no ghost is left.
//
// # States
//
//	                 first to join                     all have joined, or time is up
//	┌───────┐       ┌────────────────────┐ generation+1 ┌─────────────────────┐
//	│ Empty ├──────►│ PreparingRebalance ├─────────────►│ CompletingRebalance │
//	└─┬──▲──┘       └──────▲──▲──────┬───┘              └──┬───────────────┬──┘
//	  │  └─ nobody is left ┼──┼──────┘                     │ somebody      │ the leader
//	  │                    │  │   joins, leaves, is silent │               │ has assigned
//	  │ deleted            │  └────────────────────────────┘   ┌────────┐  │
//	  ▼                    └───────────────────────────────────┤ Stable │◄─┘
//	Dead                       joins, leaves, is silent        └────────┘
//
// Every transition is a fact. Timeouts and errors are Kafka's (KIP-62, 134, 345, 394,
// 814): an empty group gathers for group.initial.rebalance.delay.ms; members may
// take the longest of their rebalance timeouts to rejoin, and as long again to sync; a
// member given an id has its session timeout to use it, and one that has not been in a
// generation may wait five minutes.
//
// # Failover
//
// A coordinator that loses the leadership, or does not know what became of a
// proposal, calls Close: everybody is told to ask again. The next one, after a
// barrier, calls [Rebuild] with the facts: the same generation, full sessions, nobody
// waiting. A Stable group goes on and no member notices. A rebalance goes on from
// where it was committed: members are told REBALANCE_IN_PROGRESS and rejoin, or
// the leader assigns again. New members were no facts; they begin anew. When the
// group gets another broker (Moved) it is the same.
//
// # Another kind of group
//
// In a group of KIP-848 each member has an epoch of its own, heartbeats carry all, and the
// coordinator assigns. That is another Group and other Facts beside [ClassicGroup] and
// [ClassicFacts], with tags and a [Kind] of its own: Rebuild chooses by the facts,
// CheckCommit compares a member epoch where this one compares a generation, requests and
// replies are more types behind [Request] and [Reply]. Two phases, the clock, relays
// and failover stay as they are. Assigning there is an [Assignor]'s. A group that
// changes its kind is one fact that makes it whole.
//
// # Other than in Kafka
//
//   - Kafka tells members a generation before anything is stored, and a failover uses
//     its number again. Here it is committed first (rule 2).
//   - Where Kafka asks a hash map (who leads next, which of two protocols with equally
//     many votes), the elder member counts.
//   - An earlier Join or Sync that still waits when the member sends it again is
//     answered REBALANCE_IN_PROGRESS; Kafka forgets it.
//   - A refused join makes no group.
//   - No time passes for anybody while an entry is under way (rule 4).
//
// # Where to start
//
// testdata: each file is a story, from TwoJoinOneDies.txt on. TestMutantsAreKilled takes
// one rule away at a time and shows which story, and which random run, then ends badly. After that
// group.go and facts.go (what goes in and out), classic.go and propose.go (the two phases),
// join.go, rebalance.go, sync.go, static.go, expire.go, and fence.go for brokers.
package consumergroup
