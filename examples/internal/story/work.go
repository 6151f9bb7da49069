package story

import (
	"fmt"
	"slices"
)

// Processed notes that a consumer has done what an order asks for.
func (l *Ledger) Processed(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.orders[id]
	if o == nil { // a record that nobody placed
		o = &order{}
		l.orders[id] = o
	}
	o.processed++
}

// A WorkVerdict is what the ledger adds up to where orders are processed.
type WorkVerdict struct {
	Orders    int      // acknowledged
	Processed int      // of those, how many were processed
	Twice     int      // orders processed more than once: at-least-once allows it
	Lost      []string // acknowledged and never processed; sorted
}

// WorkVerdict adds up what became of the orders that were acknowledged.
func (l *Ledger) WorkVerdict() WorkVerdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var v WorkVerdict
	for id, o := range l.orders {
		if o.processed > 1 {
			v.Twice++
		}
		switch {
		case o.acked && o.processed > 0:
			v.Orders++
			v.Processed++
		case o.acked:
			v.Orders++
			v.Lost = append(v.Lost, id)
		}
	}
	slices.Sort(v.Lost)
	return v
}

// OK reports whether every acknowledged order was processed.
func (v WorkVerdict) OK() bool { return len(v.Lost) == 0 }

func (v WorkVerdict) String() string {
	return fmt.Sprintf("verdict: orders=%d processed=%d twice=%d lost=%d", v.Orders, v.Processed, v.Twice, len(v.Lost))
}
