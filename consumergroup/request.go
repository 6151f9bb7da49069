package consumergroup

import "time"

// A Token names one waiting request; the driver makes them, none is 0 and none
// is used twice.
type Token uint64

// A Request is what the group's broker relays. Where a client may leave a string
// out, it is "".
type Request interface{ token() Token }

// A Reply is what an answer says beside its error.
type Reply interface{ reply() }

// Join asks to be a member of the next generation (JoinGroup).
type Join struct {
	Token Token
	// MemberID is "" for who has none yet. NewMemberID is the one that the group's
	// broker made for it, before it relayed the request the first time: sent again, the
	// request has the same one.
	MemberID, NewMemberID string
	Instance              string // group.instance.id; "": a dynamic member
	ClientID, ClientHost  string
	SessionTimeout        time.Duration
	RebalanceTimeout      time.Duration // version 0 has none: the session timeout
	ProtocolType          string
	Protocols             []Protocol // in the member's order of preference
	IDRequired            bool       // version 4 and later: nobody joins without a member id (KIP-394)
	SkipsAssignment       bool       // version 9 and later: knows SkipAssignment (KIP-814)
}

// maxString is the longest string that Kafka's protocol has, in bytes.
const maxString = 1<<15 - 1

// tooLong reports a string that no client of Kafka can send, and that is no fact
// for that reason.
func (r Join) tooLong() bool {
	longest := max(len(r.MemberID), len(r.NewMemberID), len(r.Instance), len(r.ClientID), len(r.ClientHost), len(r.ProtocolType))
	for _, p := range r.Protocols {
		longest = max(longest, len(p.Name))
	}
	return longest > maxString
}

// JoinReply is the answer to a Join. With an error it has the member id at most.
type JoinReply struct {
	MemberID               string
	Generation             int32
	ProtocolType, Protocol string
	Leader                 string
	SkipAssignment         bool
	Members                []JoinedMember // for the group leader only
}

// A JoinedMember is what the group leader needs to know of a member.
type JoinedMember struct {
	ID, Instance string
	Metadata     string // for the generation's protocol
}

// Sync asks for the member's assignment, and brings everybody's if it is from the
// group leader (SyncGroup).
type Sync struct {
	Token                  Token
	MemberID, Instance     string
	Generation             int32
	ProtocolType, Protocol string // before version 5: ""
	Assignments            []Assignment
}

// SyncReply is the answer to a Sync.
type SyncReply struct {
	ProtocolType, Protocol string
	Assignment             string
}

// Heartbeat says that a member lives, and asks whether its generation does.
type Heartbeat struct {
	Token              Token
	MemberID, Instance string
	Generation         int32
}

// Alive is a heartbeat that nobody answers: the group's broker has accepted a
// commit of the member.
type Alive struct{ MemberID, Instance string }

// Leave ends memberships (LeaveGroup; before version 3 of exactly one member).
type Leave struct {
	Token   Token
	Members []Leaver
}

// A Leaver is one who leaves. An administrator names the instance alone.
type Leaver struct{ MemberID, Instance string }

// LeaveReply has a result for each of who left, in the order of the request.
type LeaveReply []LeaveResult

// A LeaveResult is what became of one Leaver.
type LeaveResult struct {
	Leaver
	Err error
}

// Delete ends the group itself, once its offsets are gone (DeleteGroups).
type Delete struct{ Token Token }

func (r Join) token() Token      { return r.Token }
func (r Sync) token() Token      { return r.Token }
func (r Heartbeat) token() Token { return r.Token }
func (Alive) token() Token       { return 0 }
func (r Leave) token() Token     { return r.Token }
func (r Delete) token() Token    { return r.Token }

func (JoinReply) reply()  {}
func (SyncReply) reply()  {}
func (LeaveReply) reply() {}
