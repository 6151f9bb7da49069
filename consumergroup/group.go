package consumergroup

import (
	"fmt"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// A Group is the life of one group on the active coordinator: it is told what
// happens, with the time, and returns what follows. [ClassicGroup] is the kind
// that there is; another kind is another implementation, chosen by its [Facts].
// A Group belongs to whoever calls it: not safe for concurrent use.
type Group interface {
	// Handle takes a request. The answer may come in a later decision.
	Handle(r Request, now time.Time) Decision
	// Tick ends what has waited long enough.
	Tick(now time.Time) Decision
	// Committed says that what was proposed is committed, at this metadata offset.
	Committed(offset int64, now time.Time) Decision
	// Failed says that what was proposed is not committed and never will be. Who
	// waited is answered with err, and the group goes on from its facts.
	Failed(err error, now time.Time) Decision
	// Freeze makes the group's time stand still since a moment, not after now, because
	// the group's broker is silent or fenced: its members cannot speak.
	Freeze(since time.Time)
	// Thaw lets the group's time go on.
	Thaw(now time.Time) Decision
	// Moved says that another broker is the group's broker now. Who waits is answered
	// ErrNotCoordinator, and every member gets a full session to find the new one.
	Moved(now time.Time) Decision
	// Close answers all who wait with err: this node no longer decides for the group,
	// or does not know what became of a proposal. Nothing else may be called then.
	Close(err error) []Answer
	// Facts returns what is committed, nil if the group does not exist, and the metadata
	// offset of the newest of it.
	Facts() (Facts, int64)
}

// A Decision is what follows for the driver from something that happened.
type Decision struct {
	// Answers to requests, this one or earlier ones.
	Answers []Answer
	// Propose is to be committed as one entry, and its outcome to be told by
	// Committed, Failed or Close. One proposal at a time: until then nothing is decided.
	Propose []Fact
	// Next is when to call Tick if nothing else happens before; zero: never.
	Next time.Time
	// Done: the group does not exist and nobody waits for it, so it may be forgotten.
	Done bool
}

// An Answer ends the wait of one request.
type Answer struct {
	To Token
	// Offset is the newest metadata offset that the answer shows. The group's broker
	// passes the answer on once it has replayed up to there.
	Offset int64
	Err    error // under Kafka's name, from package metadata; nil: it was done
	Reply  Reply // what a request of its type is answered with; nil where Err says it all
}

// Config is what a group goes by, under the names of the broker configs.
type Config struct {
	MinSessionTimeout time.Duration // group.min.session.timeout.ms
	MaxSessionTimeout time.Duration // group.max.session.timeout.ms
	InitialDelay      time.Duration // group.initial.rebalance.delay.ms
	MaxSize           int           // group.max.size
}

// newMemberJoinTimeout is how long a new member's join may wait. It has no
// session yet, and a client that has given up leaves no other trace. As in Kafka.
const newMemberJoinTimeout = 5 * time.Minute

// Rebuild makes a group out of its committed facts, on a coordinator that has
// just become active: the same generation, a full session for every member, and
// nobody waiting. Facts nil is a group that does not exist yet.
func Rebuild(id string, config Config, facts Facts, offset int64, now time.Time) (Group, Decision, error) {
	switch facts := facts.(type) {
	case nil:
		g := newClassicGroup(id, config)
		return g, g.decide(now), nil
	case *ClassicFacts:
		g := newClassicGroup(id, config)
		g.facts, g.offset = facts, offset
		g.restart(now)
		return g, g.decide(now), nil
	default:
		return nil, Decision{}, fmt.Errorf("group %s is of kind %d: %w", id, facts.Kind(), metadata.ErrUnsupportedVersion)
	}
}
