package consumergroup

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// A world is one group with what surrounds it: a coordinator that can crash, a log
// that commits late, the group's broker that replays late, and members. It
// checks after every step what must hold.
type world struct {
	config Config
	now    time.Time
	last   Token

	// The coordinator. Its log outlives it.
	group    Group // nil: it is down
	next     time.Time
	facts    Facts  // committed
	offset   int64  // of the newest entry
	proposal []Fact // under way
	slow     bool   // proposals wait for commit
	log      [][]Fact

	// The group's broker.
	replayed  Facts
	replayedN int
	deaf      bool     // replays nothing
	answers   []Answer // to be passed on when it has replayed far enough

	clients []*client
	calls   map[Token]*call
	told    int32 // the newest generation that some member was told
	deleted int64 // when the group was last deleted: its generations begin anew

	restless bool // there were times when nobody could be answered

	said  []string
	wrong []string
}

// A call is one request that somebody waits for.
type call struct {
	by      *client // nil: an administrator
	request Request
	since   time.Time
}

func newWorld(config Config) *world {
	w := &world{config: config, now: epoch, calls: map[Token]*call{}}
	w.start()
	return w
}

func defaultConfig() Config {
	return Config{MinSessionTimeout: time.Second, MaxSessionTimeout: 30 * time.Minute, MaxSize: math.MaxInt32}
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *world) fault(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// start has a coordinator become active: it knows what is committed, no more.
func (w *world) start() {
	g, d, err := Rebuild("orders", w.config, w.facts, w.offset, w.now)
	if err != nil {
		panic(err)
	}
	w.group = g
	w.take(d)
}

// crash ends the coordinator. Who waited for it asks again, some time. A proposal
// under way is committed all the same, or not.
func (w *world) crash(committed bool) {
	proposal := w.proposal
	closed := w.group.Close(metadata.ErrNotCoordinator)
	w.group, w.proposal, w.next = nil, nil, time.Time{}
	if committed && proposal != nil {
		w.append(proposal)
	}
	for _, token := range w.waiting() {
		answers := func(a Answer) bool { return a.To == token }
		if slices.ContainsFunc(w.answers, answers) {
			continue // on its way already
		}
		if !slices.ContainsFunc(closed, answers) {
			w.fault("%s is forgotten", requestWords(w.calls[token]))
		}
		c := w.calls[token]
		delete(w.calls, token)
		if c.by != nil {
			c.by.lost(c.request)
		}
	}
}

func (w *world) waiting() (tokens []Token) {
	for token := range w.calls {
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	return tokens
}

// send relays a request to the coordinator.
func (w *world) send(by *client, make func(Token) Request) {
	w.last++
	r := make(w.last)
	w.calls[w.last] = &call{by, r, w.now}
	if w.group == nil {
		delete(w.calls, w.last)
		if by != nil {
			by.lost(r)
		}
		return
	}
	w.take(w.group.Handle(r, w.now))
}

// take carries out a decision.
func (w *world) take(d Decision) {
	w.next = d.Next
	w.answers = append(w.answers, d.Answers...)
	if d.Propose != nil {
		if w.proposal != nil {
			w.fault("two proposals under way")
		}
		w.proposal = d.Propose
	}
	if w.proposal != nil && !w.slow {
		w.commit()
	}
	if d.Done {
		w.group, _, _ = Rebuild("orders", w.config, nil, w.offset, w.now) // forgotten, and asked again
	}
	w.pass()
}

// commit ends the proposal under way.
func (w *world) commit() {
	proposal := w.proposal
	w.proposal = nil
	w.append(proposal)
	w.take(w.group.Committed(w.offset, w.now))
}

func (w *world) append(entry []Fact) {
	encoded := AppendFacts(nil, entry)
	decoded, err := DecodeFacts(encoded)
	if err != nil || string(AppendFacts(nil, decoded)) != string(encoded) {
		w.fault("facts change in their encoding: %v", err)
	}
	w.log = append(w.log, decoded)
	w.offset++
	for _, f := range decoded {
		before := w.facts
		w.facts = Replay(w.facts, f)
		w.say("committed: %s", factWords(f))
		w.checkFact(before, w.facts)
	}
	w.checkFacts()
	w.pass()
}

func (w *world) fail(err error) {
	w.proposal = nil
	w.take(w.group.Failed(err, w.now))
}

// pass replays facts on the group's broker and passes on the answers that show
// nothing newer.
func (w *world) pass() {
	for !w.deaf && w.replayedN < len(w.log) {
		w.replayed = Replay(w.replayed, w.log[w.replayedN]...)
		w.replayedN++
	}
	for {
		i := slices.IndexFunc(w.answers, func(a Answer) bool { return a.Offset <= int64(w.replayedN) })
		if i < 0 {
			return
		}
		a := w.answers[i]
		w.answers = slices.Delete(w.answers, i, i+1)
		c := w.calls[a.To]
		if c == nil {
			w.fault("request %d is answered, and nobody waits for it", a.To)
			continue
		}
		delete(w.calls, a.To)
		w.say("%s", answerWords(c, a))
		if r, ok := a.Reply.(JoinReply); ok && a.Err == nil && a.Offset > w.deleted {
			w.told = max(w.told, r.Generation)
		}
		if c.by != nil {
			c.by.hear(c.request, a)
		}
	}
}

// sleep lets time pass, ticking when the group wants to.
func (w *world) sleep(d time.Duration) {
	end := w.now.Add(d)
	for !w.next.IsZero() && !w.next.After(end) {
		if w.next.Before(w.now) {
			w.fault("asks for a tick in the past")
		}
		w.now = w.next
		before := w.next
		n := len(w.said)
		w.take(w.group.Tick(w.now))
		if w.next.Equal(before) && w.proposal == nil {
			w.fault("a tick leads nowhere")
			break
		}
		if len(w.said) > n {
			w.said[n] = fmt.Sprintf("after %v: %s", w.now.Sub(end.Add(-d)), w.said[n])
		}
	}
	w.now = end
}

// commitOffsets is a commit at the group's broker.
func (w *world) commitOffsets(c Commit) error {
	err := CheckCommit(w.replayed, c)
	if err == nil && c.Generation >= 0 && c.Generation < w.told {
		w.fault("a commit of generation %d is accepted, and generation %d is at work", c.Generation, w.told)
	}
	return err
}

// checkFact looks at each change.
func (w *world) checkFact(before, after Facts) {
	f, ok := after.(*ClassicFacts)
	b, was := before.(*ClassicFacts)
	switch {
	case !ok:
		w.told, w.deleted = 0, w.offset // the group begins anew
	case !was:
	case f.Generation < b.Generation:
		w.fault("generation %d follows %d", f.Generation, b.Generation)
	case f.State == CompletingRebalance && b.State != CompletingRebalance && f.Generation == b.Generation:
		w.fault("generation %d is formed twice", f.Generation)
	}
}

// checkFacts looks at what an entry has left.
func (w *world) checkFacts() {
	f, ok := w.facts.(*ClassicFacts)
	switch {
	case !ok:
		return
	case (f.State == Empty) != (len(f.Members) == 0) && f.State != PreparingRebalance:
		w.fault("%v with %d members", f.State, len(f.Members))
	case f.State == Stable && f.find(f.Leader) < 0:
		w.fault("stable without a leader")
	}
	ids, instances := map[string]bool{}, map[string]bool{}
	for _, m := range f.Members {
		if ids[m.ID] || m.Instance != "" && instances[m.Instance] {
			w.fault("two members are %s%s", m.ID, m.Instance)
		}
		ids[m.ID], instances[m.Instance] = true, true
		if _, ok := m.metadata(f.Protocol); !ok && f.State != PreparingRebalance && f.State != Empty {
			w.fault("%s does not know protocol %q", m.ID, f.Protocol)
		}
	}
	owners := map[string]string{}
	for _, m := range f.Members {
		for _, p := range partitions(m.Assignment) {
			if owners[p] != "" {
				w.fault("partition %s is %s's and %s's in generation %d", p, owners[p], m.ID, f.Generation)
			}
			owners[p] = m.ID
		}
	}
}

// check looks for what must hold after every step.
func (w *world) check() []string {
	w.checkOwners()
	w.checkMachine()
	for _, token := range w.waiting() {
		if c := w.calls[token]; !w.restless && w.now.Sub(c.since) > w.maxWait() {
			w.fault("%s waits for %v", requestWords(c), w.now.Sub(c.since))
		}
	}
	wrong := w.wrong
	w.wrong = nil
	return wrong
}

// maxWait is longer than anybody may wait whose time does not stand still: the
// initial delay, or the longest rebalance timeout.
func (w *world) maxWait() time.Duration {
	longest := w.config.InitialDelay
	for _, c := range w.clients {
		longest = max(longest, c.timeout)
	}
	return longest + time.Second
}

// checkOwners: no two live members believe that they own one partition.
func (w *world) checkOwners() {
	f, _ := w.facts.(*ClassicFacts)
	if f == nil {
		return
	}
	owners := map[string]*client{}
	for _, c := range w.clients {
		if i := f.find(c.id); i < 0 || c.instance != "" && c.generation != f.Generation {
			continue // no member; or a static one that was not there when the generation was formed
		}
		for _, p := range c.owned {
			if other := owners[p]; other != nil {
				w.fault("%s and %s both work on partition %s", other.name, c.name, p)
			}
			owners[p] = c
		}
	}
}

// checkMachine: when nothing is under way the group is what its facts say.
func (w *world) checkMachine() {
	if w.group == nil || w.proposal != nil {
		return
	}
	g := w.group.(*ClassicGroup)
	f, _ := w.facts.(*ClassicFacts)
	if f == nil {
		if g.exists {
			w.fault("the group exists, and no fact says so")
		}
		return
	}
	var known []string
	for _, m := range g.members {
		if m.known {
			known = append(known, m.ID)
		}
	}
	var members []string
	for _, m := range f.Members {
		members = append(members, m.ID)
	}
	if g.state != f.State || g.generation != f.Generation || !slices.Equal(known, members) {
		w.fault("the group is %v %d %v, and its facts say %v %d %v", g.state, g.generation, known, f.State, f.Generation, members)
	}
	if f.State != PreparingRebalance && g.leader != f.Leader {
		w.fault("the leader is %s, and the facts say %s", g.leader, f.Leader)
	}
}

func partitions(assignment string) []string {
	return strings.FieldsFunc(assignment, func(r rune) bool { return r == ',' })
}

// code is how Kafka spells an error.
func code(err error) string {
	for e, name := range map[error]string{
		metadata.ErrCoordinatorNotAvailable: "COORDINATOR_NOT_AVAILABLE", metadata.ErrNotCoordinator: "NOT_COORDINATOR",
		metadata.ErrIllegalGeneration: "ILLEGAL_GENERATION", metadata.ErrInconsistentGroupProtocol: "INCONSISTENT_GROUP_PROTOCOL",
		metadata.ErrUnknownMemberID: "UNKNOWN_MEMBER_ID", metadata.ErrInvalidSessionTimeout: "INVALID_SESSION_TIMEOUT",
		metadata.ErrRebalanceInProgress: "REBALANCE_IN_PROGRESS", metadata.ErrNonEmptyGroup: "NON_EMPTY_GROUP",
		metadata.ErrGroupIDNotFound: "GROUP_ID_NOT_FOUND", metadata.ErrMemberIDRequired: "MEMBER_ID_REQUIRED",
		metadata.ErrGroupMaxSizeReached: "GROUP_MAX_SIZE_REACHED", metadata.ErrFencedInstanceID: "FENCED_INSTANCE_ID",
	} {
		if errors.Is(err, e) {
			return name
		}
	}
	return err.Error()
}
