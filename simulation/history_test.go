package simulation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/simulation"
)

var orders = simulation.Place{Topic: "orders"}

// A tale is a history in the making: records a, b, c, ... of one producer.
type tale struct {
	simulation.History
	sends map[string]*simulation.Send
}

func (h *tale) begin(value string) {
	h.beginAs(simulation.Send{Producer: "p", Place: orders, Value: value, Acks: -1, Idempotent: true})
}

func (h *tale) beginAs(s simulation.Send) {
	if h.sends == nil {
		h.sends = map[string]*simulation.Send{}
	}
	h.sends[s.Value] = h.Begin(s)
}

func (h *tale) acked(value string, offset int64) { h.Acked(h.sends[value], offset) }

// put sends a record that is acknowledged.
func (h *tale) put(value string, offset int64) {
	h.begin(value)
	h.acked(value, offset)
}

// reads has a reader see values from an offset on; the final reader is called "end".
func (h *tale) reads(reader string, from int64, values ...string) {
	for i, v := range values {
		h.Saw(simulation.Read{Reader: reader, Place: orders, Offset: from + int64(i), Value: v, Final: reader == "end"})
	}
}

// update sends a record of key k in a compacted topic, a tombstone if its value ends in "!".
func (h *tale) update(value string, offset int64) {
	h.beginAs(simulation.Send{Producer: "p", Place: orders, Value: value, Key: "k", Tombstone: strings.HasSuffix(value, "!"), Acks: -1})
	if offset >= 0 {
		h.acked(value, offset)
	}
}

func (h *tale) finds(offset int64, value string) {
	h.Saw(simulation.Read{Reader: "end", Place: orders, Offset: offset, Value: value, Key: "k", Final: true})
}

func TestCheckFinds(t *testing.T) {
	for want, tell := range map[string]func(h *tale){
		`lost: "b" of p was acknowledged at offset 1`: func(h *tale) {
			h.put("a", 0)
			h.put("b", 1)
			h.reads("end", 0, "a")
		},
		`where there is "c"`: func(h *tale) {
			h.put("a", 0)
			h.put("b", 1)
			h.begin("c")
			h.reads("end", 0, "a", "c")
		},
		// Read, and lost at last.
		`lost: "a" of p`: func(h *tale) {
			h.put("a", 0)
			h.reads("early", 0, "a")
		},
		"duplicate": func(h *tale) {
			h.put("a", 0)
			h.reads("end", 0, "a", "a")
		},
		// Nobody was told of it, yet it must not be there twice.
		`"b" of p is in orders-0 at offsets [0 1]`: func(h *tale) {
			h.begin("b")
			h.reads("end", 0, "b", "b")
		},
		"torn": func(h *tale) {
			h.begin("a")
			h.begin("b")
			h.reads("early", 0, "a")
			h.reads("end", 0, "b")
		},
		"which nobody sent": func(h *tale) { h.reads("end", 0, "x") },
		"which was sent to bills-0": func(h *tale) {
			h.beginAs(simulation.Send{Place: simulation.Place{Topic: "bills"}, Value: "a"})
			h.reads("end", 0, "a")
		},
		"skip": func(h *tale) {
			h.put("a", 0)
			h.put("b", 1)
			h.put("c", 2)
			h.reads("end", 0, "a", "b", "c")
			h.reads("early", 0, "a")
			h.reads("early", 2, "c")
		},
		"back": func(h *tale) {
			h.put("a", 0)
			h.reads("end", 0, "a")
			h.reads("end", 0, "a")
		},
		`lost: "b" of p is the newest of "k"`: func(h *tale) {
			h.update("a", 0)
			h.update("b", 1)
		},
		`resurrected: "a" at offset 0`: func(h *tale) {
			h.update("a", 0)
			h.update("b!", 1)
			h.finds(0, "a")
		},
		`lost: "b" of p was acknowledged at offset 1 of orders-0, where there is "c"`: func(h *tale) {
			h.update("b", 1)
			h.update("c", -1)
			h.finds(1, "c")
		},
		`undeleted: orders-0 begins at 0`: func(h *tale) {
			h.Wished(orders, 1)
			h.Granted(orders, 1)
			h.put("a", 0)
			h.reads("end", 0, "a")
		},
		`deleted: orders-0 begins at 2`: func(h *tale) {
			h.Wished(orders, 1)
			h.put("a", 0)
			h.put("b", 1)
			h.put("c", 2)
			h.reads("end", 2, "c")
		},
		// A new leader that lacked a, and gave its offset away.
		`sent after "b" had been acknowledged at offset 7`: func(h *tale) {
			h.put("b", 7)
			h.beginAs(simulation.Send{Producer: "other", Place: orders, Value: "c", Acks: -1})
			h.acked("c", 3)
		},
		`"b" at 0 of orders-0 was sent by p after "a"`: func(h *tale) {
			h.begin("a")
			h.begin("b")
			h.acked("b", 0)
			h.acked("a", 1)
			h.reads("end", 0, "b", "a")
		},
	} {
		t.Run(want, func(t *testing.T) {
			h := new(tale)
			tell(h)
			_, wrong := h.Check()
			require.Contains(t, fmt.Sprint(wrong), want)
		})
	}
}

func TestCheckAllows(t *testing.T) {
	for name, tell := range map[string]func(h *tale){
		"nothing": func(*tale) {},
		"what was never answered is there": func(h *tale) {
			h.begin("a")
			h.put("b", 1)
			h.reads("end", 0, "a", "b")
		},
		"what was never answered is not there": func(h *tale) {
			h.begin("a")
			h.Unknown(h.sends["a"])
			h.put("b", 0)
			h.reads("end", 0, "b")
		},
		"concurrent producers in any order": func(h *tale) {
			h.begin("a")
			h.beginAs(simulation.Send{Producer: "other", Place: orders, Value: "b", Acks: -1, Idempotent: true})
			h.acked("a", 1)
			h.acked("b", 0)
			h.reads("end", 0, "b", "a")
		},
		"a reader that begins in the middle": func(h *tale) {
			h.put("a", 0)
			h.put("b", 1)
			h.reads("late", 1, "b")
			h.reads("end", 0, "a", "b")
		},
		"without numbers, twice": func(h *tale) {
			h.beginAs(simulation.Send{Producer: "p", Place: orders, Value: "a", Acks: -1})
			h.acked("a", 1)
			h.reads("end", 0, "a", "a")
		},
		"the newest of a key": func(h *tale) {
			h.update("a", 0)
			h.update("b", 3)
			h.finds(3, "b")
		},
		"a key that is deleted": func(h *tale) {
			h.update("a", 0)
			h.update("b!", 1)
		},
		"a key that may be deleted": func(h *tale) {
			h.update("a", 0)
			h.update("b!", -1)
		},
		"deleted on demand": func(h *tale) {
			h.Wished(orders, 1)
			h.put("a", 0)
			h.put("b", 1)
			h.reads("end", 1, "b")
		},
		"old": func(h *tale) {
			h.Ages(orders)
			h.put("a", 0)
			h.put("b", 1)
			h.reads("end", 1, "b")
		},
		"what only the leader had": func(h *tale) {
			h.beginAs(simulation.Send{Producer: "p", Place: orders, Value: "a", Acks: 1})
			h.acked("a", 0)
			h.put("b", 0)
			h.reads("end", 0, "b")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := new(tale)
			tell(h)
			_, wrong := h.Check()
			require.Empty(t, wrong)
		})
	}
}
