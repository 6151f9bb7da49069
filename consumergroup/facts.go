package consumergroup

import (
	"slices"
	"time"
)

// Facts is all that is committed of one group; nil: the group does not exist.
// Immutable, so it may be shared: the active coordinator rebuilds a [Group] from
// it, and every broker holds it as the fence of offset commits.
type Facts interface {
	Kind() Kind
	// StateName is the state as Kafka spells it.
	StateName() string
	// Type is the protocol type: "consumer", or what else members joined by; "" if
	// nobody ever did.
	Type() string
	// sessionTimeout is that of a member, 0 of who is none.
	sessionTimeout(member string) time.Duration
	grace(member string) time.Duration
	rejoined(member string) bool
	checkCommit(Commit) error
	checkHeartbeat(Heartbeat) error
	checkDelete() error
	checkOffsetDelete() error
	whole() Fact
}

// A Kind says by which protocol a group lives. It is on disk.
type Kind byte

// Classic groups assign on the group leader, a client.
const Classic Kind = 1

// String is the kind as Kafka spells it.
func (k Kind) String() string {
	if k == Classic {
		return "classic"
	}
	return "unknown"
}

// State is where a classic group is in its life.
type State byte

// The states. They are on disk: append only. Dead is the end of a group on the
// coordinator, and never a fact.
const (
	Empty               State = iota // no members; offsets may be kept
	PreparingRebalance               // members are to join
	CompletingRebalance              // a generation is formed, its assignment is awaited
	Stable                           // every member can have its assignment
	Dead                             // deleted
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "Unknown"
}

// ClassicFacts are the facts of a classic group.
type ClassicFacts struct {
	State        State
	Generation   int32  // of every member; 0: none was formed yet
	ProtocolType string // "consumer"; "" of a group that never had members
	Protocol     string // what the generation chose; "" without members
	Leader       string // the group leader's member id
	Since        int64  // when the generation was formed, ms since 1970: offsets expire by it while the group is Empty
	Members      []Member
}

// A Member is what is committed of a member.
type Member struct {
	ID, Instance         string // Instance "": a dynamic member
	ClientID, ClientHost string
	SessionTimeout       time.Duration
	RebalanceTimeout     time.Duration
	Protocols            []Protocol // in the member's order of preference
	Assignment           string     // opaque; "" until the generation is Stable
}

// A Protocol is one way to assign that a member knows, with what it wants the
// group leader to know. Metadata is opaque; by version 0 of "consumer" it is a subscription.
type Protocol struct{ Name, Metadata string }

// An Assignment is what one member is given.
type Assignment struct{ Member, Bytes string }

// A Fact is one change of a group, as it is committed.
type Fact interface {
	replay(Facts) Facts
	tag() byte
}

// Formed: the group is exactly this from now on. So every generation begins, and
// so a group is written as a whole.
type Formed struct{ ClassicFacts }

// Rebalancing: the generation is over, members are to join. Why and Member, who is
// behind it or "", are for people.
type Rebalancing struct {
	ProtocolType string
	Why          Reason
	Member       string
}

// Assigned: the group leader has assigned; the generation is Stable.
type Assigned struct{ Assignments []Assignment }

// Replaced: a static member's place was taken by its next process. The old
// member id is fenced.
type Replaced struct {
	Old string
	New Member
}

// Removed: these are members no more; Leader is the group leader among the rest. Why
// is for people.
type Removed struct {
	Members []string
	Leader  string
	Why     Reason
}

// Deleted: the group is no more.
type Deleted struct{}

// Replay returns the facts after some changes; f stays as it is. What
// contradicts f (it cannot, unless a disk lies) changes nothing.
func Replay(f Facts, changes ...Fact) Facts {
	for _, c := range changes {
		f = c.replay(f)
	}
	return f
}

// Whole returns changes that make f out of nothing.
func Whole(f Facts) []Fact {
	if f == nil {
		return nil
	}
	return []Fact{f.whole()}
}

func (c Formed) replay(Facts) Facts { return &c.ClassicFacts }

func (c Rebalancing) replay(f Facts) Facts {
	next := edited(f)
	next.State, next.ProtocolType = PreparingRebalance, c.ProtocolType
	return next
}

func (c Assigned) replay(f Facts) Facts {
	next := edited(f)
	if next.State != CompletingRebalance {
		return f
	}
	next.State = Stable
	given := make(map[string]string, len(c.Assignments))
	for _, a := range c.Assignments {
		given[a.Member] = a.Bytes
	}
	for i := range next.Members {
		next.Members[i].Assignment = given[next.Members[i].ID]
	}
	return next
}

func (c Replaced) replay(f Facts) Facts {
	next := edited(f)
	i := next.find(c.Old)
	if i < 0 {
		return f
	}
	next.Members[i] = c.New
	if next.Leader == c.Old {
		next.Leader = c.New.ID
	}
	return next
}

func (c Removed) replay(f Facts) Facts {
	next := edited(f)
	if len(next.Members) == 0 {
		return f
	}
	next.Members = slices.DeleteFunc(next.Members, func(m Member) bool { return slices.Contains(c.Members, m.ID) })
	next.Leader = c.Leader
	return next
}

func (Deleted) replay(Facts) Facts { return nil }

// edited returns a copy of the facts to write into; of nothing, or of another
// kind, it is an empty group.
func edited(f Facts) *ClassicFacts {
	old, ok := f.(*ClassicFacts)
	if !ok {
		return &ClassicFacts{}
	}
	next := *old
	next.Members = slices.Clone(old.Members)
	return &next
}

// Kind is Classic.
func (f *ClassicFacts) Kind() Kind { return Classic }

// StateName is the state as Kafka spells it.
func (f *ClassicFacts) StateName() string { return f.State.String() }

// Type is the protocol type.
func (f *ClassicFacts) Type() string { return f.ProtocolType }

func (f *ClassicFacts) sessionTimeout(member string) time.Duration {
	if i := f.find(member); i >= 0 {
		return f.Members[i].SessionTimeout
	}
	return 0
}

// SessionTimeout is that of a member of the group, 0 of who is none.
func SessionTimeout(f Facts, member string) time.Duration {
	if f == nil {
		return 0
	}
	return f.sessionTimeout(member)
}

// Grace is how long a member may count on what it owns after the group's broker has told it that it is
// one: for its session, or for the time to rejoin if that is shorter, as a rebalance may have
// begun, and owning ends with rejoining. 0 of who is none.
func Grace(f Facts, member string) time.Duration {
	if f == nil {
		return 0
	}
	return f.grace(member)
}

func (f *ClassicFacts) grace(member string) time.Duration {
	i := f.find(member)
	if i < 0 {
		return 0
	}
	return min(f.Members[i].SessionTimeout, f.Members[i].RebalanceTimeout)
}

// Rejoined reports whether a member certainly knows of the generation that the group is in: a
// dynamic one is in it because it has joined it. A static one may be in it without knowing.
func Rejoined(f Facts, member string) bool { return f != nil && f.rejoined(member) }

func (f *ClassicFacts) rejoined(member string) bool {
	i := f.find(member)
	return i >= 0 && f.Members[i].Instance == "" && f.State != PreparingRebalance
}

func (f *ClassicFacts) whole() Fact { return Formed{*f} }

// find returns the index of a member, -1 if there is none of that id.
func (f *ClassicFacts) find(id string) int {
	return slices.IndexFunc(f.Members, func(m Member) bool { return m.ID == id })
}
