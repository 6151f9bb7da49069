package simulation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// patience is how long the cluster may take to be whole again, once everything
// is healed: less than a minute of virtual time.
const patience = time.Minute

// A Result is what came of a run.
type Result struct {
	Plan     Plan
	Tally    Tally
	Wrong    []error
	Schedule string // what the nemesis did, and when
	Report   string // the cluster and its last events; only if something is wrong
}

// String tells everything that helps to understand a failure.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v%v\n", r.Plan, r.Tally)
	for _, err := range r.Wrong {
		fmt.Fprintf(&b, "WRONG: %v\n", err)
	}
	if len(r.Wrong) > 0 {
		fmt.Fprintf(&b, "the schedule:\n%s\n%s", r.Schedule, r.Report)
	}
	return b.String()
}

// run is one run under way.
type run struct {
	plan    Plan
	cluster *brokertest.C
	begun   time.Time
	history History
	nemesis *nemesis

	mu    sync.Mutex
	bad   []error
	first string // what the cluster was like when the first thing went wrong
}

// Run plays a plan and judges it. It must be called in a bubble of virtual time
// (brokertest.Virtual), whose own end then checks that no goroutine is left. t
// lends its context and directory and does not fail; who calls looks at the
// Result.
func Run(t *testing.T, plan Plan) Result {
	r := &run{plan: plan, begun: time.Now()}
	s := &stage{TB: t, wrong: r.wrong}
	s.play(func() { r.play(s) })
	s.clear()
	tally, wrong := r.history.Check()
	result := Result{Plan: plan, Tally: tally, Wrong: append(r.bad, wrong...)}
	if r.nemesis != nil {
		result.Schedule = r.nemesis.schedule()
	}
	if len(result.Wrong) > 0 {
		result.Report = r.first + s.said.String()
	}
	return result
}

func (r *run) play(s *stage) {
	r.cluster = brokertest.Start(s, r.plan.options()...)
	r.begun = time.Now()
	r.nemesis = newNemesis(r)
	for _, at := range r.plan.places() {
		if t := r.plan.topic(at.Topic); t.Forgets {
			r.history.Wished(at, 0)
			if t.Retention > 0 {
				r.history.Ages(at)
			}
		}
	}
	ctx, cancel := context.WithTimeout(s.Context(), r.plan.Length)
	defer cancel()
	watching, stop := context.WithCancel(s.Context())

	var all, producers sync.WaitGroup
	for i := range r.plan.Readers {
		all.Go(func() { r.read(ctx, i) })
	}
	for i, w := range r.plan.Producers {
		producers.Go(func() { r.produce(ctx, i, w) })
	}
	all.Go(r.groupsAtWork(ctx, watching))
	all.Go(func() { s.play(func() { (&watch{run: r, seen: map[Place]*memory{}}).until(watching) }) })
	all.Go(func() { r.nemesis.nurse(watching) })
	r.nemesis.rage(ctx)
	r.heal()
	r.become(brokersim.FullISR())
	producers.Wait()
	r.become(level())
	r.finish()
	stop()
	all.Wait()
	r.cluster.CheckInvariants()
}

// heal ends every fault. The nemesis has started whatever it stopped; what failed
// by itself meanwhile is started here.
func (r *run) heal() {
	r.cluster.Heal()
	for _, n := range r.cluster.Coordinator().Nodes() {
		if !n.Process().Up() {
			r.wrong("%s is %s although nobody stopped it", n.Name(), n.Process())
		}
	}
	for _, b := range r.cluster.Brokers() {
		if !b.Process().Up() && !r.nemesis.isRotten(b.ID()) {
			r.wrong("%s is %s although nobody stopped it", b.Name(), b.Process())
		}
	}
}

// become waits until the cluster is as it should be once everything is healed.
func (r *run) become(cond brokersim.Cond) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.cluster.Wait(ctx, cond); err != nil {
		r.wrong("after the last fault was healed: %v", err)
	}
}

// finish reads everything back, up to a last record of each partition.
func (r *run) finish() {
	ends := r.last()
	for i := range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		for n := 0; !r.follow(ctx, fmt.Sprintf("final reader %d.%d", i, n), ends) && ctx.Err() == nil; n++ {
		}
		if ctx.Err() != nil {
			r.wrong("final reader %d has not reached the ends %v after %v", i, ends, patience)
		}
		cancel()
	}
	r.groupsAreDone(ends)
}

// last writes one more record to each partition, with a key of its own, so that
// nothing that ages takes it away. It returns the ends behind them.
func (r *run) last() map[Place]int64 {
	ends := map[Place]int64{}
	cl, err := kgo.NewClient(r.clientOptions(kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		r.wrong("client: %v", err)
		return ends
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, at := range r.plan.places() {
		s := Send{Producer: "last", Place: at, Value: fmt.Sprint("last/", at), Acks: acksAll, Idempotent: true}
		record := &kgo.Record{Topic: at.Topic, Partition: at.Partition, Key: []byte(s.Value)}
		if r.plan.topic(at.Topic).Keys > 0 {
			s.Key, record.Value = s.Value, []byte("x")
			record.Headers = []kgo.RecordHeader{{Key: "value", Value: []byte(s.Value)}}
		}
		begun := r.history.Begin(s)
		if err := cl.ProduceSync(ctx, record).FirstErr(); err != nil {
			r.wrong("a last record for %v: %v", at, err)
			continue
		}
		r.history.Acked(begun, record.Offset)
		ends[at] = record.Offset + 1
	}
	return ends
}

// wrong notes that something is, and the first time what the cluster looked like.
func (r *run) wrong(format string, args ...any) {
	var dump strings.Builder
	r.mu.Lock()
	first := len(r.bad) == 0
	if len(r.bad) < 20 {
		r.bad = append(r.bad, fmt.Errorf("%.3fs: "+format, append([]any{time.Since(r.begun).Seconds()}, args...)...))
	}
	r.mu.Unlock()
	if first && r.cluster != nil {
		fmt.Fprintf(&dump, "when the first thing went wrong, %v after the beginning (%v):\n", time.Since(r.begun), time.Now().Format(time.TimeOnly))
		r.cluster.Dump(&dump)
		newest(&dump, r.cluster.Cluster)
		r.mu.Lock()
		r.first = dump.String()
		r.mu.Unlock()
	}
}

// newest writes the last events.
func newest(w *strings.Builder, c *brokersim.Cluster) {
	const many = 150
	last := c.Snapshot().Seq
	if last == 0 {
		return
	}
	var told event.Narrator
	for e := range c.Events(context.Background(), max(last, many)-many) {
		if line := told.Line(e); line != "" {
			fmt.Fprintf(w, "%5d  %s\n", e.Seq, line)
		}
		if e.Seq >= last {
			return
		}
	}
}

// level holds when all replicas of every partition are equally long and know
// that everything is committed.
func level() brokersim.Cond {
	return func(s brokersim.Snapshot) (bool, string) {
		for _, p := range s.Partitions {
			l, _ := p.Replica(p.Leader)
			for _, r := range p.Replicas {
				if r.LEO != l.LEO || r.HW != l.LEO || len(p.Replicas) != len(p.Assigned) {
					return false, fmt.Sprintf("%s-%d to be level: broker %d has LEO %d and HW %d, leader %d has LEO %d and HW %d",
						p.Topic, p.Partition, r.Broker, r.LEO, r.HW, p.Leader, l.LEO, l.HW)
				}
			}
		}
		return brokersim.FullISR()(s)
	}
}
