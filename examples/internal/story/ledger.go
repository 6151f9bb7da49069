package story

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Ledger notes what happened to each order. It is safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex
	placed int // orders so far
	orders map[string]*order
	read   map[place]string // which order was seen where, by any reader
	torn   int              // places at which two readers saw different orders

	crash     time.Time
	orphans   map[int32]bool // the partitions that the dead broker led
	recovered time.Time      // first ack after the crash in one of them
}

// An order is placed once, acknowledged at most once, read wherever it is, and
// processed as often as consumers take it up.
type order struct {
	placed    time.Time
	partition int32
	acked     bool
	refused   error
	places    []place
	processed int // how often
}

// A place is where in the log an order was seen.
type place struct {
	partition int32
	offset    int64
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{orders: map[string]*order{}, read: map[place]string{}}
}

// Next makes up the id of a new order and notes that it is about to be produced.
func (l *Ledger) Next() (id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id = fmt.Sprintf("order-%04d", l.placed)
	l.placed++
	l.orders[id] = &order{placed: time.Now()}
	return id
}

// Acked notes that the cluster acknowledged an order. It returns true for the
// ack that ends the failover: the first one, in a partition that the crashed
// broker led, of an order that was placed after the crash and so cannot have
// been acknowledged by the dead.
func (l *Ledger) Acked(id string, partition int32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.orders[id]
	o.acked, o.partition = true, partition
	if l.crash.IsZero() || !l.recovered.IsZero() || !l.orphans[partition] || o.placed.Before(l.crash) {
		return false
	}
	l.recovered = time.Now()
	return true
}

// Refused notes that the client gave an order up: whether it is in the log
// nobody said.
func (l *Ledger) Refused(id string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders[id].refused = err
}

// Read notes that a reader saw an order at an offset.
func (l *Ledger) Read(id string, partition int32, offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := place{partition, offset}
	if seen, ok := l.read[at]; ok {
		if seen != id {
			l.torn++
		}
		return
	}
	l.read[at] = id
	o := l.orders[id]
	if o == nil { // from another run, or a record that nobody placed
		o = &order{}
		l.orders[id] = o
	}
	o.places = append(o.places, at)
}

// Crashed starts the failover's clock: a broker that led partitions is gone.
func (l *Ledger) Crashed(partitions []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crash, l.recovered, l.orphans = time.Now(), time.Time{}, map[int32]bool{}
	for _, p := range partitions {
		l.orphans[p] = true
	}
}

// Counts returns how many orders were acknowledged and how many the client gave up.
func (l *Ledger) Counts() (acked, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.orders {
		if o.acked {
			acked++
		}
		if o.refused != nil {
			refused++
		}
	}
	return acked, refused
}

// A Verdict is what the ledger adds up to.
type Verdict struct {
	Acked      int           // orders acknowledged
	Read       int           // of those, how many were read
	Lost       []string      // of those, which were not; sorted
	Duplicates int           // orders seen at more than one offset, and offsets at which two orders were seen
	Unacked    int           // orders read that were never acknowledged: allowed, the answer may have been lost
	Failover   time.Duration // from the crash to the first ack in a partition that lost its leader; 0 if there was none
}

// Verdict adds the ledger up.
func (l *Ledger) Verdict() Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := Verdict{Duplicates: l.torn}
	for id, o := range l.orders {
		switch {
		case o.acked && len(o.places) > 0:
			v.Acked++
			v.Read++
		case o.acked:
			v.Acked++
			v.Lost = append(v.Lost, id)
		case len(o.places) > 0:
			v.Unacked++
		}
		if len(o.places) > 1 {
			v.Duplicates++
		}
	}
	slices.Sort(v.Lost)
	if !l.recovered.IsZero() {
		v.Failover = l.recovered.Sub(l.crash)
	}
	return v
}

// OK reports whether every promise was kept.
func (v Verdict) OK() bool { return len(v.Lost) == 0 && v.Duplicates == 0 }

// String is the last line of a demo.
func (v Verdict) String() string {
	s := fmt.Sprintf("verdict: acked=%d read=%d lost=%d duplicates=%d", v.Acked, v.Read, len(v.Lost), v.Duplicates)
	if v.Failover > 0 {
		s += fmt.Sprintf(" failover=%v", v.Failover.Round(time.Millisecond))
	}
	return s
}
