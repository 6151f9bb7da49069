package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A Place is one partition.
type Place struct {
	Topic     string
	Partition int32
}

func (p Place) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// A Send is one record that a producer handed to its client. Every value is
// sent once.
type Send struct {
	Producer string
	Place    Place
	Value    string
	// Key is set in a compacted topic, where a newer record of a key replaces older
	// ones, and a tombstone all of them and then itself.
	Key       string
	Tombstone bool
	// Acks is what the producer asked for; only what was acknowledged by all in-sync
	// replicas must survive.
	Acks int16
	// Idempotent says that the client numbers its records: none is there twice,
	// acknowledged or not.
	Idempotent bool

	Began int // when it was handed over, on the history's clock
	Ended int // when the client told the outcome; 0: it has not
	// Offset is where the ack says that the record is; -1: not acknowledged, and
	// nobody knows whether the record is in the log.
	Offset int64
}

// A Read is one record that a reader was given, in the order in which it was.
type Read struct {
	Reader string
	Place  Place
	Offset int64
	Value  string
	Key    string // as Send's
	// Numbered names the numbering that the record is part of: the producer's id
	// and epoch. A client that is told by a leader of before, which lacks its newest
	// records, that a number is out of order takes records for lost, and sends them
	// again under a new epoch: so does it with Kafka, whose promise is one numbering.
	Numbered string
	// Final says that the reader read everything that there was after all faults
	// had been healed.
	Final bool
}

// A History is what the clients of one run sent and saw. Its methods are safe
// for concurrent use; its zero value is empty.
type History struct {
	mu    sync.Mutex
	clock int
	sends []*Send
	reads []Read
	acked map[Place]int64 // the highest offset that was acknowledged by all, plus one
	// forgotten is what of a partition may be gone, and what must be.
	forgotten map[Place]Forgotten
	owners    owners
	groups    groups
}

// Begin notes that a record is handed to the client.
func (h *History) Begin(s Send) *Send {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	s.Began, s.Offset = h.clock, -1
	h.sends = append(h.sends, &s)
	return &s
}

// Acked notes that the record was acknowledged at an offset.
func (h *History) Acked(s *Send, offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	s.Ended, s.Offset = h.clock, offset
	if s.Acks == acksAll {
		if h.acked == nil {
			h.acked = map[Place]int64{}
		}
		h.acked[s.Place] = max(h.acked[s.Place], offset+1)
	}
}

// Unknown notes that the client gave the record up: it may be in the log or not.
func (h *History) Unknown(s *Send) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	s.Ended = h.clock
}

// Saw notes what a reader was given.
func (h *History) Saw(r Read) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads = append(h.reads, r)
}

// Promised returns, for each partition, the end of what was acknowledged by all
// in-sync replicas so far: every leader to come holds the records below it.
func (h *History) Promised() map[Place]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.acked)
}

// A Tally counts what happened in a run.
type Tally struct {
	Sent, Acked, Open, Read int
	// Forfeited are records that only their leader had acknowledged (acks=1) and
	// that are gone: that is allowed.
	Forfeited int
	// Aged are acknowledged records that need not be there any more: deleted, or of a
	// compacted topic.
	Aged int
	// Commits are offsets that members and others asked to be committed; Refused are those of
	// them that came too late, or from nobody.
	Commits, Refused, Generations int
}

func (t Tally) String() string {
	return fmt.Sprintf("%d records sent, %d acknowledged, %d unanswered, %d reads, %d of acks=1 forfeited, %d aged, %d offset commits, %d refused, %d generations",
		t.Sent, t.Acked, t.Open, t.Read, t.Forfeited, t.Aged, t.Commits, t.Refused, t.Generations)
}

// Check returns everything in the history that a cluster which keeps its
// promises cannot have done, at most a few of each kind, and counts the rest.
func (h *History) Check() (Tally, []error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	j := judge{values: map[string]*Send{}, logs: map[Place]map[int64]string{}, forgotten: h.forgotten, places: map[string][]int64{}, kinds: map[string]int{}, numbered: map[numbering][]int64{}}
	for _, s := range h.sends {
		j.values[s.Value] = s
	}
	j.readersAgree(h.reads)
	j.readersAdvance(h.reads)
	j.valuesAreThereOnce()
	j.ackedIsThere(h.sends, h.reads)
	j.newestIsThere(h.sends, h.reads)
	j.orderIsKept(h.sends)
	j.offsetsAreKept(h.groups)
	j.everythingWasDelivered(h.groups, j.ends())
	for _, f := range h.groups.facts {
		j.tally.Generations += len(f.members)
	}
	j.tally.Read = len(h.reads)
	return j.tally, j.wrong
}

// acksAll is what a producer asks for that wants its records to survive.
const acksAll int16 = -1

type judge struct {
	values    map[string]*Send
	logs      map[Place]map[int64]string // what was seen where
	places    map[string][]int64         // where a value was seen, each offset once
	forgotten map[Place]Forgotten
	// numbered is where a value was seen under one numbering.
	numbered map[numbering][]int64
	tally    Tally
	wrong    []error
	kinds    map[string]int
}

type numbering struct{ value, numbered string }

// most bounds how many mistakes of a kind are told.
const most = 5

func (j *judge) must(ok bool, kind, format string, args ...any) {
	if ok {
		return
	}
	if j.kinds[kind]++; j.kinds[kind] <= most {
		j.wrong = append(j.wrong, fmt.Errorf(kind+": "+format, args...))
	}
}

// readersAgree builds the logs as they were seen, and compares: at one offset
// there is one value, for everybody and for ever.
func (j *judge) readersAgree(reads []Read) {
	for _, r := range reads {
		log := j.logs[r.Place]
		if log == nil {
			log = map[int64]string{}
			j.logs[r.Place] = log
		}
		seen, known := log[r.Offset]
		if known {
			j.must(seen == r.Value, "torn", "%v at offset %d was %q and is %q for %s", r.Place, r.Offset, seen, r.Value, r.Reader)
			continue
		}
		log[r.Offset] = r.Value
		s, sent := j.values[r.Value]
		j.must(sent, "phantom", "%v at offset %d is %q, which nobody sent", r.Place, r.Offset, r.Value)
		if sent {
			j.must(s.Place == r.Place, "phantom", "%v at offset %d is %q, which was sent to %v", r.Place, r.Offset, r.Value, s.Place)
			j.places[r.Value] = append(j.places[r.Value], r.Offset)
			n := numbering{r.Value, r.Numbered}
			j.numbered[n] = append(j.numbered[n], r.Offset)
		}
	}
}

// readersAdvance checks that each reader saw every offset after its first, in
// order; of a compacted topic, those that are left.
func (j *judge) readersAdvance(reads []Read) {
	type position struct {
		reader string
		place  Place
	}
	last := map[position]int64{}
	for _, r := range reads {
		at := position{r.Reader, r.Place}
		before, begun := last[at]
		j.must(!begun || r.Offset > before, "back", "%s was given offset %d of %v after %d", r.Reader, r.Offset, r.Place, before)
		j.must(!begun || r.Offset <= before+1 || r.Key != "", "skip", "%s was given offset %d of %v after %d", r.Reader, r.Offset, r.Place, before)
		last[at] = r.Offset
	}
}

func (j *judge) valuesAreThereOnce() {
	for n, offsets := range j.numbered {
		if s := j.values[n.value]; s.Idempotent {
			j.must(len(offsets) == 1, "duplicate", "%q of %s is in %v at offsets %v, numbered by %q", n.value, s.Producer, s.Place, offsets, n.numbered)
		}
	}
}

// ackedIsThere checks that the final readers saw what was acknowledged by all
// in-sync replicas, where the ack said.
func (j *judge) ackedIsThere(sends []*Send, reads []Read) {
	final := map[Place]map[int64]string{}
	for _, r := range reads {
		if r.Final {
			if final[r.Place] == nil {
				final[r.Place] = map[int64]string{}
			}
			final[r.Place][r.Offset] = r.Value
		}
	}
	starts := j.startsAreRight(reads)
	for _, s := range sends {
		j.tally.Sent++
		if s.Ended == 0 {
			j.tally.Open++
		}
		if s.Offset < 0 {
			continue
		}
		j.tally.Acked++
		value, there := final[s.Place][s.Offset]
		switch {
		case s.Key != "" || s.Offset < starts[s.Place]:
			j.tally.Aged++
		case s.Acks == acksAll:
			j.must(there, "lost", "%q of %s was acknowledged at offset %d of %v, where there is nothing; it was seen at %v",
				s.Value, s.Producer, s.Offset, s.Place, j.places[s.Value])
			j.must(!there || value == s.Value, "lost", "%q of %s was acknowledged at offset %d of %v, where there is %q; it was seen at %v",
				s.Value, s.Producer, s.Offset, s.Place, value, j.places[s.Value])
		case value != s.Value:
			j.tally.Forfeited++
		}
	}
}

// orderIsKept checks that a record whose producer began after another record of
// the partition was acknowledged comes after it in the log, and that the records of
// one idempotent producer are in the order in which it sent them.
func (j *judge) orderIsKept(sends []*Send) {
	acked := map[Place][]*Send{}
	for _, s := range sends {
		if s.Offset >= 0 && s.Acks == acksAll {
			acked[s.Place] = append(acked[s.Place], s)
		}
	}
	for place, ss := range acked {
		j.realTime(place, ss)
		last := map[string]*Send{}
		for _, s := range ss { // in the order in which they were begun
			if before := last[s.Producer]; before != nil && s.Idempotent {
				j.must(s.Offset > before.Offset, "reordered", "%q at %d of %v was sent by %s after %q, which is at %d",
					s.Value, s.Offset, place, s.Producer, before.Value, before.Offset)
			}
			last[s.Producer] = s
		}
	}
}

// realTime walks the acks in the order in which they came, and remembers the
// highest offset so far.
func (j *judge) realTime(place Place, begun []*Send) {
	ended := slices.SortedFunc(slices.Values(begun), func(a, b *Send) int { return cmp.Compare(a.Ended, b.Ended) })
	var highest *Send
	for _, s := range begun {
		for len(ended) > 0 && ended[0].Ended < s.Began {
			if highest == nil || ended[0].Offset > highest.Offset {
				highest = ended[0]
			}
			ended = ended[1:]
		}
		if highest != nil {
			j.must(s.Offset > highest.Offset, "reordered", "%q was sent after %q had been acknowledged at offset %d of %v, and is at %d",
				s.Value, highest.Value, highest.Offset, place, s.Offset)
		}
	}
}
