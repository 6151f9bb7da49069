package consumergroup

// A Reason says why a member is one no more, or why a generation is over. It
// decides nothing.
type Reason byte

// The reasons. They are on disk: append only.
const (
	Joins    Reason = iota // a new member
	Changes                // a member subscribes anew, or the group leader sees other topics
	Returns                // a static member's next process
	Leaves                 // it said so
	Silent                 // its session ended
	Late                   // it had not rejoined when its time was over
	Unsynced               // it never asked for its assignment
	NoRoom                 // group.max.size
)

var reasons = [...]string{
	Joins: "joins", Changes: "brings something new", Returns: "is back", Leaves: "leaves", Silent: "was silent for its session",
	Late: "did not rejoin in time", Unsynced: "did not ask for its assignment in time", NoRoom: "finds no room in the group",
}

// String says what the member did.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "Unknown"
}
