package brokertest

import (
	"maps"
	"sync"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/history"
)

// histories are those of groups whose members tell theirs.
type histories struct {
	mu     sync.Mutex
	groups map[string]*history.Group
}

// History returns the history of a group, empty at first, for the group's clients to tell: see
// package history. CheckInvariants and the end of the test judge it, by what the cluster
// knows of the sessions of members.
func (c *C) History(group string) *history.Group {
	c.histories.mu.Lock()
	defer c.histories.mu.Unlock()
	if c.histories.groups == nil {
		c.histories.groups = map[string]*history.Group{}
	}
	h := c.histories.groups[group]
	if h == nil {
		h = &history.Group{}
		c.histories.groups[group] = h
	}
	return h
}

// kept tells a history which sessions ended, and returns what it says is broken.
func (c *C) kept(group string, h *history.Group) []error {
	for _, e := range recent(c.Cluster, 1<<62) {
		if e.Data["group"] != group {
			continue
		}
		member, _ := e.Data["member"].(string)
		switch e.Kind {
		case event.GroupMemberReplaced:
			member, _ = e.Data["old"].(string)
		case event.GroupMemberLeft, event.GroupMemberExpired:
		default:
			continue
		}
		h.Expired(member, e.Time)
	}
	return h.Broken()
}

func (h *histories) all() map[string]*history.Group {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.groups)
}
