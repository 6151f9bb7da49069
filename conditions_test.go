package brokersim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func whole() Snapshot {
	return Snapshot{
		Brokers: []BrokerState{
			{ID: 1, Process: Running, Registration: Unfenced}, {ID: 2, Process: Running, Registration: Unfenced},
		},
		Partitions: []PartitionState{{
			Topic: "orders", Leader: 1, LeaderEpoch: 3, Assigned: []int32{2, 1}, ISR: []int32{1, 2}, HighWatermark: 10,
			Replicas: []ReplicaState{{Broker: 2, LEO: 10, HW: 9, LeaderEpoch: 3}, {Broker: 1, LEO: 12, HW: 10, Leads: true, LeaderEpoch: 3}},
		}},
		Quorum: QuorumState{Active: "coordinator-1"},
	}
}

func TestConditions(t *testing.T) {
	for name, c := range map[string]struct {
		cond   Cond
		change func(*Snapshot)
		why    string // "": it holds
	}{
		"full":                 {cond: FullISR()},
		"not full":             {FullISR(), func(s *Snapshot) { s.Partitions[0].ISR = []int32{1} }, "a full ISR of orders-0: it is [1] of [2 1]"},
		"full, leaderless":     {FullISR(), func(s *Snapshot) { s.Partitions[0].Leader = -1 }, "a leader of orders-0: nobody leads"},
		"full, fenced":         {FullISR(), func(s *Snapshot) { s.Brokers[1].Registration = Fenced }, "broker 2 to be unfenced: it is fenced"},
		"full, dead":           {FullISR(), func(s *Snapshot) { s.Brokers[1].Process = Killed }, "broker 2 to be unfenced: its process is killed"},
		"ISR in any order":     {cond: ISR("orders", 0, 2, 1)},
		"another ISR":          {cond: ISR("orders", 0, 1), why: "ISR [1] of orders-0: it is [1 2]"},
		"in ISR":               {cond: InISR("orders", 0, 2)},
		"still in ISR":         {cond: NotInISR("orders", 0, 2), why: "broker 2 to leave the ISR of orders-0: it is [1 2]"},
		"not in ISR":           {cond: NotInISR("orders", 0, 3)},
		"not yet in ISR":       {cond: InISR("orders", 0, 3), why: "broker 3 to join the ISR of orders-0: it is [1 2]"},
		"new leader":           {cond: NewLeader("orders", 0, 2)},
		"old leader":           {cond: NewLeader("orders", 0, 1), why: "another leader of orders-0 than broker 1"},
		"leader to be":         {NewLeader("orders", 0, 2), func(s *Snapshot) { s.Partitions[0].LeaderEpoch = 4 }, "broker 1 to take the lead of orders-0 in epoch 4"},
		"led by":               {cond: LedBy("orders", 0, 1)},
		"led by another":       {cond: LedBy("orders", 0, 2), why: "broker 2 to lead orders-0: broker 1 does"},
		"has leader":           {cond: HasLeader("orders", 0)},
		"no leader":            {NoLeader("orders", 0), func(s *Snapshot) { s.Partitions[0].Leader = -1 }, ""},
		"a leader":             {cond: NoLeader("orders", 0), why: "orders-0 to lose its leader: broker 1 leads"},
		"replicated":           {cond: Replicated("orders", 0, 10)},
		"not replicated":       {cond: Replicated("orders", 0, 11), why: "orders-0 up to offset 11 on broker 2: its log ends at 10"},
		"replica down":         {Replicated("orders", 0, 1), func(s *Snapshot) { s.Partitions[0].Replicas = nil }, "orders-0 up to offset 1 on broker 2: no replica runs there"},
		"committed":            {cond: Committed("orders", 0, 10)},
		"not committed":        {cond: Committed("orders", 0, 11), why: "the high watermark of orders-0 to reach 11: it is 10"},
		"registered":           {cond: Registered(1, Unfenced)},
		"no such broker":       {cond: Registered(9, Fenced), why: "broker 9 to be fenced: there is no such broker"},
		"active":               {cond: ActiveCoordinator()},
		"not active":           {ActiveCoordinator(), func(s *Snapshot) { s.Quorum.Active = "" }, "an active coordinator"},
		"no such topic":        {cond: HasLeader("bills", 0), why: "bills-0 to exist"},
		"no such partition":    {cond: HasLeader("orders", 1), why: "orders-1 to exist"},
		"all":                  {cond: All(FullISR(), HasLeader("orders", 0))},
		"not all":              {cond: All(FullISR(), HasLeader("bills", 0)), why: "bills-0 to exist"},
		"any":                  {cond: Any(HasLeader("bills", 0), FullISR())},
		"none":                 {cond: Any(HasLeader("bills", 0), NoLeader("orders", 0)), why: "bills-0 to exist, or orders-0 to lose its leader: broker 1 leads"},
		"not":                  {cond: Not(FullISR(), "trouble"), why: "trouble"},
		"everybody knows":      {everybodyKnows(), func(s *Snapshot) { s.Offset = 7; s.Brokers[0].Offset = 7 }, "broker 2 to learn of metadata offset 7: it knows 0"},
		"the dead know little": {everybodyKnows(), func(s *Snapshot) { s.Brokers[1].Process = Killed; s.Brokers[0].Offset = 7; s.Offset = 7 }, ""},
		"led":                  {cond: led("orders")},
		"not led":              {cond: led("bills"), why: `topic "bills" to exist`},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole()
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

func TestSnapshotLooksUp(t *testing.T) {
	s := whole()
	p, ok := s.Partition("orders", 0)
	require.True(t, ok)
	r, ok := p.Replica(2)
	require.True(t, ok)
	require.Equal(t, int64(10), r.LEO)
	_, ok = p.Replica(7)
	require.False(t, ok)
	_, ok = s.Broker(7)
	require.False(t, ok)
}
