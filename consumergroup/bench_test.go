package consumergroup

import (
	"fmt"
	"testing"
	"time"
)

// How long the decisions of one rebalance take: everybody rejoins, one leads and
// assigns, everybody syncs. Raft and the network are not in it.
func BenchmarkRebalance(b *testing.B) {
	for _, members := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			g, _, _ := Rebuild("orders", defaultConfig(), nil, 0, epoch)
			r := rebalance{g: g, members: members}
			for b.Loop() {
				r.run(b)
			}
		})
	}
}

type rebalance struct {
	g       Group
	members int
	token   Token
	offset  int64
}

func (r *rebalance) run(b *testing.B) {
	answered := 0
	for i := range r.members {
		id := fmt.Sprintf("consumer-%d-5e0b6f26-5a28-4d5c-9a62-%012d", i, i)
		join := Join{
			NewMemberID: id, SessionTimeout: time.Minute, RebalanceTimeout: time.Minute, ProtocolType: "consumer",
			Protocols: []Protocol{{"range", fmt.Sprint("orders ", r.offset)}, {"sticky", "orders"}},
		}
		if r.offset > 0 && r.g.(*ClassicGroup).hasMember(id) {
			join.MemberID = id
		}
		r.token++
		join.Token = r.token
		answered += r.settle(r.g.Handle(join, epoch))
	}
	f, _ := r.g.Facts()
	facts := f.(*ClassicFacts)
	for _, m := range facts.Members {
		r.token++
		sync := Sync{Token: r.token, MemberID: m.ID, Generation: facts.Generation}
		if m.ID == facts.Leader {
			sync.Assignments = make([]Assignment, 0, r.members)
			for _, m := range facts.Members {
				sync.Assignments = append(sync.Assignments, Assignment{m.ID, "orders 1"})
			}
		}
		answered += r.settle(r.g.Handle(sync, epoch))
	}
	if len(facts.Members) == r.members && answered < 2*r.members {
		b.Fatalf("%d answers for %d members", answered, r.members)
	}
}

func (r *rebalance) settle(d Decision) (answered int) {
	answered = len(d.Answers)
	for d.Propose != nil {
		r.offset++
		d = r.g.Committed(r.offset, epoch)
		answered += len(d.Answers)
	}
	return answered
}
