package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brokersim/brokersim"
)

// A nemesis does harm to a cluster, one fault after another and several at once,
// and undoes each after a while. What it does is drawn from the seed, but for what
// depends on the moment: who leads, who is down already, and whether one more
// loss of records could still be survived.
type nemesis struct {
	run  *run
	rng  *rand.Rand
	menu []fault

	wg sync.WaitGroup

	mu     sync.Mutex
	busy   map[string]bool // nodes to which something is being done
	lossy  map[int32]int64 // brokers that may have lost records, and their epoch then
	rotten map[int32]bool  // brokers whose disk was damaged; it may be found much later
	done   []string        // the schedule
}

func newNemesis(r *run) *nemesis {
	n := &nemesis{run: r, rng: rand.New(rand.NewPCG(r.plan.Seed, 2)), busy: map[string]bool{}, lossy: map[int32]int64{}, rotten: map[int32]bool{}}
	for _, f := range slices.Concat(menu, groupMenu) {
		if slices.Contains(r.plan.Faults, f.name) {
			n.menu = append(n.menu, f)
		}
	}
	return n
}

// rage does harm until ctx ends, and returns when all that it began is undone.
func (n *nemesis) rage(ctx context.Context) {
	for len(n.menu) > 0 && sleep(ctx, between(n.rng, n.run.plan.Every/4, 2*n.run.plan.Every)) {
		f := n.menu[n.rng.IntN(len(n.menu))]
		// One generator for each fault, so that what a fault draws does not depend on
		// the others that are in force.
		d := &deed{n: n, ctx: ctx, name: f.name, rng: rand.New(rand.NewPCG(n.rng.Uint64(), 3)), lasts: millis(n.rng, 50, 6000)}
		n.wg.Go(func() { f.do(d) })
	}
	<-ctx.Done()
	n.wg.Wait()
}

// schedule is what was done, in order.
func (n *nemesis) schedule() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.done, "\n")
}

// take claims nodes for one deed; it fails if another one has some of them.
func (n *nemesis) take(nodes ...string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if slices.ContainsFunc(nodes, func(name string) bool { return n.busy[name] }) {
		return false
	}
	for _, name := range nodes {
		n.busy[name] = true
	}
	return true
}

func (n *nemesis) release(nodes ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range nodes {
		delete(n.busy, name)
	}
}

// mayLose reports whether these brokers may lose records now, and counts them
// among those who have. Who lost some is whole again once it is in the ISR of
// everything that it hosts, under a registration made after the loss.
func (n *nemesis) mayLose(brokers ...int32) bool {
	s := n.run.cluster.Snapshot()
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, epoch := range n.lossy {
		if whole(s, id, epoch) && !n.rotten[id] {
			delete(n.lossy, id)
		}
	}
	hurt := len(n.lossy)
	for _, id := range brokers {
		if _, already := n.lossy[id]; !already {
			hurt++
		}
	}
	if hurt > n.run.plan.spare() {
		return false
	}
	for _, id := range brokers {
		b, _ := s.Broker(id)
		n.lossy[id] = b.Epoch
	}
	return true
}

// lostNothing takes back what mayLose counted.
func (n *nemesis) lostNothing(broker int32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.lossy, broker)
}

// hasLost reports whether the broker's log may lack what it once held.
func (n *nemesis) hasLost(broker int32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, lost := n.lossy[broker]
	return lost
}

func whole(s brokersim.Snapshot, id int32, before int64) bool {
	b, _ := s.Broker(id)
	if b.Epoch <= before || b.Registration != brokersim.Unfenced {
		return false
	}
	return !slices.ContainsFunc(s.Partitions, func(p brokersim.PartitionState) bool {
		return slices.Contains(p.Assigned, id) && !slices.Contains(p.ISR, id)
	})
}

// A deed is one fault in the doing.
type deed struct {
	n     *nemesis
	ctx   context.Context // of the nemesis: ends early
	name  string
	rng   *rand.Rand
	lasts time.Duration
}

// say adds a line to the schedule.
func (d *deed) say(format string, args ...any) {
	line := fmt.Sprintf("%8.3fs  %s: ", time.Since(d.n.run.begun).Seconds(), d.name) + fmt.Sprintf(format, args...)
	d.n.mu.Lock()
	defer d.n.mu.Unlock()
	d.n.done = append(d.n.done, line)
}

// wait lets the fault last.
func (d *deed) wait() { sleep(d.ctx, d.lasts) }

// broker draws a broker, a leader as often as anybody.
func (d *deed) broker() *brokersim.Broker {
	if d.rng.IntN(2) == 0 {
		if b := d.leader(); b != nil {
			return b
		}
	}
	return pick(d.rng, d.n.run.cluster.Brokers()...)
}

// leader returns the leader of some partition, nil if it has none.
func (d *deed) leader() *brokersim.Broker {
	at := pick(d.rng, d.n.run.plan.places()...)
	return d.n.run.cluster.Cluster.Leader(at.Topic, at.Partition)
}

// node draws a coordinator node, the active one as often as anybody.
func (d *deed) node() *brokersim.Node {
	if q := d.n.run.cluster.Coordinator(); d.rng.IntN(2) == 0 && q.Active() != nil {
		return q.Active()
	}
	return pick(d.rng, d.n.run.cluster.Coordinator().Nodes()...)
}

// ends draws some ends of the network, at least one and not all.
func (d *deed) ends(all []brokersim.End) (some, rest []brokersim.End) {
	d.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	k := 1 + d.rng.IntN(len(all)-1)
	return all[:k], all[k:]
}

func (d *deed) brokers() (all []brokersim.End) {
	for _, b := range d.n.run.cluster.Brokers() {
		all = append(all, brokersim.B(b.ID()))
	}
	return all
}

func (d *deed) nodes() (all []brokersim.End) {
	for _, n := range d.n.run.cluster.Coordinator().Nodes() {
		all = append(all, brokersim.Q(n.ID()))
	}
	return all
}

// sleep waits and reports whether ctx is still going on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)+1))
}
