// Package guard can take one rule of the replication protocol away.
//
// Each rule that stands between the cluster and lost data is a Guard, and the
// one line of code that enforces it asks first whether the guard Holds:
//
//	if end.Offset < req.Offset && guard.FetchedEpoch.Holds() {
//		return diverging(end)
//	}
//
// It always does, unless a test or an example has removed it, to show what the
// rule is for. A test that passes without its guard proves nothing.
//
// Asking costs one load and one branch that is always predicted. What is removed
// is removed for the whole process, so tests that remove guards do not run in
// parallel with others.
package guard

import "sync/atomic"

// A Guard is one rule of the protocol. Its number is that of the mutant that
// lives when the guard is removed, and stays the same for good.
type Guard uint8

// The guards of replication.
const (
	// TruncateByEpoch: a follower cuts its log where the epochs part, never at its
	// high watermark (KIP-101).
	TruncateByEpoch Guard = 1
	// StepBack: the answer to a diverging fetch names the epoch, too, and a
	// follower that does not know that epoch steps back to its own one below (KIP-279).
	StepBack Guard = 2
	// LeaderEpoch: a fetch is refused unless both sides are in the same leader epoch (KIP-320).
	LeaderEpoch Guard = 3
	// FetchedEpoch: a fetch names the epoch of the record before its offset, and
	// the leader compares (KIP-320, KIP-595).
	FetchedEpoch Guard = 4
	// MaximalISR: the high watermark waits for replicas that are only proposed to
	// join the ISR (KIP-497).
	MaximalISR Guard = 5
	// PastEpochStart: nobody joins the ISR before it has reached the start of the
	// leader's epoch (KAFKA-7128).
	PastEpochStart Guard = 8
	// FetchedInEpoch: what a follower fetched in an earlier leader epoch says nothing about now.
	FetchedInEpoch Guard = 9
	// DivergingIsNoProgress: a diverging fetch does not tell how far the follower is (KAFKA-13141).
	DivergingIsNoProgress Guard = 10
	// AckAfterCommit: acks=all is answered once the high watermark has passed the record.
	AckAfterCommit Guard = 12
	// MinISRAfterAppend: min.insync.replicas is checked again after the append.
	MinISRAfterAppend Guard = 13
	// ReadCommitted: consumers read below the high watermark only.
	ReadCommitted Guard = 14
	// StepDown: a leader stops serving once it knows of a newer epoch.
	StepDown Guard = 15
	// EpochReached: the end of a partition is not told until the high watermark has
	// reached the start of the leader's epoch (KIP-207).
	EpochReached Guard = 21
	// KeptStart: a follower tells the leader no log start that its disk could forget.
	KeptStart Guard = 29
	// JoinTrimmed: nobody joins the ISR before it has deleted what the leader has.
	JoinTrimmed Guard = 30
)

// The guards of the coordinator.
const (
	// CompareAndSet: AlterPartition is taken only on top of the partition epoch that it names.
	CompareAndSet Guard = 6
	// BrokerEpoch: a broker joins the ISR only under the registration that the leader meant (KIP-903).
	BrokerEpoch Guard = 7
	// UncleanLeavesISR: who may have lost records leaves every ISR and ELR, even as the last one (KIP-966).
	UncleanLeavesISR Guard = 11
)

// The guards of groups.
const (
	// Generation: an offset commit names the generation that the group is in.
	Generation Guard = 17
	// JoinBarrier: a generation is formed when every member has rejoined, or had its time to.
	JoinBarrier Guard = 23
	// AnswerAfterFact: what an answer shows of a group is committed before it goes out.
	AnswerAfterFact Guard = 24
	// SameGeneration: the next coordinator goes on with the generation that is committed.
	SameGeneration Guard = 25
	// StandStill: no session ends while the group's broker is silent.
	StandStill Guard = 26
	// OneMember: a join that is sent again is the same member's.
	OneMember Guard = 27
	// OneInstance: a static member that comes back takes the place of its old self (KIP-345).
	OneInstance Guard = 28
	// ReplayBeforeAnswer: the group's broker passes an answer on once it has replayed what it shows.
	ReplayBeforeAnswer Guard = 31
	// FenceBeforeAnswer: ... and every commit that older facts let in has been appended.
	FenceBeforeAnswer Guard = 32
	// LeadsBeforeAnswer: ... and if it still leads in the epoch in which it was asked.
	LeadsBeforeAnswer Guard = 33
	// MarkerFirst: a new leader of offsets serves groups once a record of its own epoch is committed.
	MarkerFirst Guard = 34
	// FetchCommitted: committed offsets are shown once they are committed in their log, too.
	FetchCommitted Guard = 35
	// WaitInEpoch: who waits for the high watermark waits for that of one leader epoch (KAFKA-20634).
	WaitInEpoch Guard = 36
	// AppendInEpoch: what the facts of one leadership let in is not appended in another.
	AppendInEpoch Guard = 37
	// MembersOnly: an offset commit names a member of the group.
	MembersOnly Guard = 38
	// RelayedByLeader: the coordinator hears only who leads the group's partition, in that epoch.
	RelayedByLeader Guard = 39
	// PromiseKept: whom the group's broker has told by itself that it is a member owns what it owns for
	// its session: no assignment of a later generation is passed on before.
	PromiseKept Guard = 40
	// OwnSession: a group's broker answers heartbeats, and shows offsets, by itself no longer than its own
	// session may last.
	OwnSession Guard = 41
)

// The numbers of rules that cannot be taken away yet: nothing asks these guards.
const (
	// SessionEnds: a broker's new registration ends the session of the old one.
	SessionEnds Guard = 16
	// Dedupe: a batch that an idempotent producer sends again is not appended again.
	Dedupe Guard = 18
	// Fsync: what counts as durable was synced.
	Fsync Guard = 19
	// Deterministic: the state machine walks its maps in order.
	Deterministic Guard = 20
	// TopicID: a deletion names the topic's id.
	TopicID Guard = 22
)

var names = [...]string{
	TruncateByEpoch:       "truncate by epoch",
	StepBack:              "step back by epoch",
	LeaderEpoch:           "leader epoch on fetch",
	FetchedEpoch:          "last fetched epoch on fetch",
	MaximalISR:            "maximal ISR",
	CompareAndSet:         "compare-and-set on the partition epoch",
	BrokerEpoch:           "broker epoch of who joins",
	PastEpochStart:        "join past the epoch's start",
	FetchedInEpoch:        "fetched in this epoch",
	DivergingIsNoProgress: "a diverging fetch is no progress",
	UncleanLeavesISR:      "an unclean restart leaves the ISR",
	AckAfterCommit:        "ack after commit",
	MinISRAfterAppend:     "min ISR after append",
	ReadCommitted:         "read committed records only",
	StepDown:              "a leader steps down",
	SessionEnds:           "one session per broker",
	Generation:            "generation of a commit",
	Dedupe:                "no duplicate appends",
	Fsync:                 "fsync",
	Deterministic:         "deterministic state",
	EpochReached:          "end offset after the epoch's start",
	TopicID:               "topic id of a deletion",
	KeptStart:             "a told log start is durable",
	JoinTrimmed:           "join with the leader's log start",
	JoinBarrier:           "join barrier",
	AnswerAfterFact:       "answer after the fact",
	SameGeneration:        "the same generation after a failover",
	StandStill:            "sessions stand still",
	OneMember:             "a join sent again is the same member's",
	OneInstance:           "one member per instance",
	ReplayBeforeAnswer:    "answer after the replay",
	FenceBeforeAnswer:     "answer after the commits before it",
	LeadsBeforeAnswer:     "answer of who still leads",
	MarkerFirst:           "a record of the own epoch first",
	FetchCommitted:        "show committed offsets only",
	WaitInEpoch:           "wait in one leader epoch",
	AppendInEpoch:         "append in one leader epoch",
	MembersOnly:           "member of a commit",
	RelayedByLeader:       "relayed by the leader",
	PromiseKept:           "a promise to a member is kept",
	OwnSession:            "no promises after the own session",
}

// removed has a bit for each guard that does not hold.
var removed atomic.Uint64

// Holds reports whether the rule is in force.
func (g Guard) Holds() bool { return removed.Load()&(1<<g) == 0 }

// Remove takes the rule away until restore is called.
func (g Guard) Remove() (restore func()) {
	removed.Or(1 << g)
	return func() { removed.And(^uint64(1 << g)) }
}

func (g Guard) String() string {
	if int(g) < len(names) && names[g] != "" {
		return names[g]
	}
	return "unknown guard"
}
