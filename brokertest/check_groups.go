package brokertest

import (
	"slices"
	"time"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/internal/invariant"
)

// Unruly says that the clients of these groups do as they like: they commit offsets that they
// have not read, or assign partitions to nobody. What depends on them is not checked
// then; what the cluster promises is. It may be called at any time before the test ends.
func (c *C) Unruly(groups ...string) {
	for _, g := range groups {
		c.unruly.Store(g, true)
	}
}

// groups looks at every group.
func (c *C) groups(past past) (groups []invariant.Group) {
	s := c.Snapshot()
	for _, g := range s.Groups {
		v := invariant.Group{ID: g.ID, State: g.State, Generation: g.Generation, Leader: g.Leader, Partitions: map[string]int{}}
		for _, m := range g.Members {
			v.Members = append(v.Members, invariant.Member{ID: m.ID, Instance: m.Instance, Subscribed: m.Subscribed, Owns: m.Owns})
		}
		if _, unruly := c.unruly.Load(g.ID); !unruly {
			v.Covered = sharesAll(g)
			v.Committed = committed(s, g, past)
		}
		for _, p := range s.Partitions {
			if c.wasThere(p.Topic, g.ID, past) {
				v.Partitions[p.Topic]++
			}
		}
		groups = append(groups, v)
	}
	return groups
}

// sharesAll reports whether a group assigns by one of the protocols, known to every client, that
// give each partition to somebody in each generation. By cooperative ones it may take two.
func sharesAll(g brokersim.GroupState) bool {
	untold := func(m brokersim.GroupMember) bool { return m.Subscribed == nil }
	return slices.Contains([]string{"range", "roundrobin", "sticky"}, g.Protocol) && !slices.ContainsFunc(g.Members, untold)
}

// staleMetadata is how long whoever assigns a group may not have heard of a new topic.
const staleMetadata = 5 * time.Second

// wasThere reports whether whoever assigned the group's generation must have known the topic.
func (c *C) wasThere(topic, group string, past past) bool {
	if past.deleted[topic] {
		return false
	}
	created, ok := past.created[topic]
	return !ok || c.first[topic] || created.Add(staleMetadata).Before(past.formed[group])
}

// topics are those that there are.
func (c *C) topics() map[string]bool {
	topics := map[string]bool{}
	for _, p := range c.Snapshot().Partitions {
		topics[p.Topic] = true
	}
	return topics
}

// committed is what can be judged of a group's offsets: where a leader runs and has lost
// nothing. One that has just been elected may not know yet how much is committed; nothing is
// beyond where its epoch begins.
func committed(s brokersim.Snapshot, g brokersim.GroupState, past past) (all []invariant.Committed) {
	for tp, offset := range g.Offsets {
		p, ok := s.Partition(tp.Topic, tp.Partition)
		leader, leads := p.Replica(p.Leader)
		if !ok || !leads || !leader.Leads || leader.LeaderEpoch != p.LeaderEpoch || past.unclean[place(tp.Topic, tp.Partition)] || past.deleted[tp.Topic] {
			continue
		}
		begins := leader.LEO
		if n := len(leader.EpochStarts); n > 0 && leader.EpochStarts[n-1].Epoch == p.LeaderEpoch {
			begins = leader.EpochStarts[n-1].Offset
		}
		all = append(all, invariant.Committed{Topic: tp.Topic, Partition: tp.Partition, Offset: offset, Limit: max(leader.HW, begins)})
	}
	return all
}
