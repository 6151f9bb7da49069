package brokersim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// grouped is a cluster with a group of two members that share three partitions.
func grouped() Snapshot {
	s := whole()
	second, third := s.Partitions[0], s.Partitions[0]
	second.Partition, third.Partition = 1, 2
	offsets := s.Partitions[0]
	offsets.Topic = offsetsTopic
	s.Partitions = []PartitionState{offsets, s.Partitions[0], second, third}
	s.served = []bool{true}
	s.Groups = []GroupState{
		{
			ID: "billing", Kind: "classic", State: "Stable", Generation: 4, ProtocolType: "consumer", Protocol: "range", Leader: "a-1", Broker: 1,
			Members: []GroupMember{
				{ID: "a-1", ClientID: "a", Host: "/127.0.0.1", Subscribed: []string{"orders"}, Owns: map[string][]int32{"orders": {0, 2}}},
				{ID: "b-1", ClientID: "b", Instance: "b", Host: "/127.0.0.1", Subscribed: []string{"orders"}, Owns: map[string][]int32{"orders": {1}}},
			},
			Offsets: map[TopicPartition]int64{{"orders", 0}: 7},
		},
		{ID: "lost", State: "Empty", Broker: -1},
		{ID: "simple", State: "Empty", Broker: 1, Offsets: map[TopicPartition]int64{{"orders", 1}: 3}},
	}
	return s
}

func TestGroupConditions(t *testing.T) {
	for name, c := range map[string]struct {
		cond   Cond
		change func(*Snapshot)
		why    string // "": it holds
	}{
		"stable":             {cond: GroupStable("billing", 2)},
		"too few":            {cond: GroupStable("billing", 3), why: "group billing to be Stable with 3 members: it is Stable with 2"},
		"rebalancing":        {GroupStable("billing", 2), func(s *Snapshot) { s.Groups[0].State = "PreparingRebalance" }, "group billing to be Stable with 2 members: it is PreparingRebalance with 2"},
		"stable, not whole":  {GroupStable("billing", 2), func(s *Snapshot) { s.Groups[0].Members[1].Owns = nil }, "a member of group billing to own orders-1, in generation 4 nobody does"},
		"not of consumers":   {GroupStable("billing", 2), func(s *Snapshot) { s.Groups[0].Members = []GroupMember{{ID: "x"}, {ID: "y"}} }, ""},
		"no such group":      {cond: GroupStable("bills", 1), why: "group bills to exist"},
		"empty":              {cond: GroupEmpty("simple")},
		"not empty":          {cond: GroupEmpty("billing"), why: "group billing to be Empty: it is Stable with 2 members"},
		"gone":               {cond: GroupGone("bills")},
		"not gone":           {cond: GroupGone("simple"), why: "group simple to be gone: it is Empty with 1 offsets"},
		"gone or not":        {GroupGone("bills"), func(s *Snapshot) { s.served[0] = false }, "a broker that knows whether group bills has committed offsets"},
		"no offsets topic":   {GroupGone("bills"), func(s *Snapshot) { s.Partitions, s.served = s.Partitions[1:], nil }, ""},
		"generation":         {cond: GroupGeneration("billing", 4)},
		"earlier generation": {cond: GroupGeneration("billing", 5), why: "generation 5 of group billing: it is in 4"},
		"served":             {cond: GroupServed("simple")},
		"not served":         {cond: GroupServed("lost"), why: "a broker to serve group lost: FindCoordinator names -1"},
		"owned":              {cond: OwnedBy("billing", "orders", 2, "a")},
		"owned by another":   {cond: OwnedBy("billing", "orders", 2, "b"), why: `"b" to own orders-2 in group billing: "a" does`},
		"owned by nobody":    {cond: OwnedBy("billing", "orders", 9, "b"), why: `"b" to own orders-9 in group billing: nobody does`},
		"committed":          {cond: CommittedOffset("billing", "orders", 0, 7)},
		"not so far":         {cond: CommittedOffset("billing", "orders", 0, 8), why: "group billing to commit offset 8 of orders-0: it is at 7"},
		"committed nothing":  {cond: CommittedOffset("billing", "orders", 1, 1), why: "group billing to commit offset 1 of orders-1: it has committed nothing there"},
		"not replicated":     {CommittedOffset("billing", "orders", 0, 7), func(s *Snapshot) { s.Groups[0].Pending = true }, "the in-sync replicas of __consumer_offsets to have what group billing commits"},
		"nobody knows":       {cond: CommittedOffset("lost", "orders", 0, 8), why: "a broker to serve group lost: FindCoordinator names -1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := grouped()
			if c.change != nil {
				c.change(&s)
			}
			ok, why := c.cond(s)
			require.Equal(t, c.why == "", ok, why)
			if !ok {
				require.Equal(t, c.why, why)
			}
		})
	}
}

func TestDumpOfGroups(t *testing.T) {
	s := grouped()
	s.Partitions[2].HighWatermark = -1
	var b strings.Builder
	require.Len(t, worthALine(&b, s.Partitions), 3)
	dumpGroups(&b, s)
	require.Equal(t, `__consumer_offsets: 1 of 1 partitions are led and in sync
group billing  Stable           generation 4  protocol "range"  broker 1
  member a-1   leads the group  client a      at /127.0.0.1     owns orders[0 2]
  member b-1   instance b       client b      at /127.0.0.1     owns orders[1]
  orders-0     committed 7      HW 10         lag 3
group lost     Empty            generation 0  protocol ""  broker -1
  no broker knows what it has committed
group simple  Empty        generation 0  protocol ""  broker 1
  orders-1    committed 3  nobody leads it
`, b.String())

	s.Partitions[0].ISR = []int32{1}
	b.Reset()
	require.Len(t, worthALine(&b, s.Partitions), 4, "one that is not in order has lines of its own")
	require.Equal(t, "__consumer_offsets: 0 of 1 partitions are led and in sync\n", b.String())
}
