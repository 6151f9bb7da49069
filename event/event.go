package event

import "time"

// An Event is one thing that happened in the cluster.
type Event struct {
	Seq   uint64         `json:"seq"`
	Time  time.Time      `json:"t"`
	Kind  Kind           `json:"kind"`
	Node  string         `json:"node,omitempty"` // "broker-1", "coordinator-2", or "" for the cluster
	Topic string         `json:"topic,omitempty"`
	Part  int32          `json:"part"`            // -1: of no partition
	Cause uint64         `json:"cause,omitempty"` // Seq of the event that made this one happen
	Data  map[string]any `json:"data,omitempty"`

	// Key is what this event is about, for later events to name as their cause;
	// Because names the key of this event's own cause. Neither travels between
	// nodes: both sides derive the key from epochs that they know anyway.
	Key     Key   `json:"-"`
	Also    Key   `json:"-"` // a second key, where one happening is known by two
	Because []Key `json:"-"` // the first key that is known wins
}

// A Sink takes events. Implementations number them and find their causes.
// They never block and are safe for concurrent use.
type Sink interface {
	Emit(events ...Event)
	// EmitAt emits what follows from the metadata entry at offset. Every
	// coordinator node applies the entry; the first to say so is heard.
	EmitAt(offset int64, events ...Event)
	// Wants reports whether somebody asked for events of this kind; only the
	// frequent ones (HWAdvanced) need to ask.
	Wants(kind Kind) bool
}

// Discard is a Sink that wants nothing.
var Discard Sink = discard{}

type discard struct{}

func (discard) Emit(...Event)          {}
func (discard) EmitAt(int64, ...Event) {}
func (discard) Wants(Kind) bool        { return false }
