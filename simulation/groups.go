package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// A Group is some consumers that share the topic "work" among them, and what they
// are up to.
type Group struct {
	Name    string
	Members []Member
	// Cooperative members keep what they go on with through a rebalance; eager ones
	// give all up.
	Cooperative bool
	Balancer    string // of eager ones
	Session     time.Duration
	Rebalance   time.Duration
	Heartbeat   time.Duration
	Work        time.Duration // what a member does with what it polled, about
	Poll        int           // records at a time, at most
	// Resets says that now and then all members go, and somebody sets the offsets back.
	Resets bool
}

// A Member is one consumer: when it has died, left or been away for too long, its next
// process takes its place.
type Member struct {
	Static bool // it has an instance id
	Lives  time.Duration
	// Strolls is how long it may be away at a time, with all that it knew when it
	// comes back; 0: it never is.
	Strolls time.Duration
	// Haunts says that a commit of each of its lives may arrive when that is over.
	Haunts bool
}

// work is the topic that groups share.
const work = "work"

// WithGroups adds consumer groups to a plan, of the same seed.
func (p Plan) WithGroups() Plan {
	r := rand.New(rand.NewPCG(p.Seed, 6))
	p.Topics = append(p.Topics[:len(p.Topics):len(p.Topics)], Topic{
		Name: work, Partitions: int32(1 + r.IntN(5)), RF: 3, MinISR: 2, Segment: 1 << (12 + r.IntN(8)),
	})
	p.Producers = append(p.Producers[:len(p.Producers):len(p.Producers)], Producer{Acks: acksAll, Idempotent: true, Burst: 4, Size: 50, Rest: millis(r, 20, 200)})
	p.OffsetsPartitions = 1 + r.IntN(3)
	for i := range 1 + r.IntN(3) {
		p.Groups = append(p.Groups, drawGroup(r, fmt.Sprint("group", i)))
	}
	p.Faults = p.Faults[:len(p.Faults):len(p.Faults)]
	for _, f := range groupMenu {
		if r.IntN(3) == 0 {
			p.Faults = append(p.Faults, f.name)
		}
	}
	return p
}

func drawGroup(r *rand.Rand, name string) Group {
	g := Group{
		Name: name, Cooperative: r.IntN(2) == 0, Balancer: pick(r, "range", "roundrobin", "sticky"),
		Session: millis(r, 600, 6000), Rebalance: millis(r, 1000, 6000), Work: millis(r, 1, 300), Poll: 1 + r.IntN(50),
		Resets: r.IntN(3) == 0,
	}
	g.Heartbeat = g.Session / time.Duration(3+r.IntN(4))
	for range 1 + r.IntN(4) {
		g.Members = append(g.Members, Member{
			Static: r.IntN(3) == 0, Lives: millis(r, 1500, 20_000),
			Strolls: pick(r, 0, millis(r, 300, 3000), g.Session*2), Haunts: r.IntN(2) == 0,
		})
	}
	return g
}

// workPlaces are the partitions that groups share.
func (p Plan) workPlaces() (all []Place) {
	for _, at := range p.places() {
		if at.Topic == work {
			all = append(all, at)
		}
	}
	return all
}
