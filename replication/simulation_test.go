package replication

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
)

// TestSimulation lets random things happen to a partition and looks at all of it
// after each. A failure names its seed:
//
//	REPLICATION_SEED=17 go test ./replication -run TestSimulation -v
//
// tells that run step by step. REPLICATION_SEEDS=10000 runs so many, from a random
// one on; more than the few that every test run does.
func TestSimulation(t *testing.T) {
	first, n := uint64(1), uint64(60)
	if s := os.Getenv("REPLICATION_SEED"); s != "" {
		first, n = parseSeed(t, s), 1
	} else if s := os.Getenv("REPLICATION_SEEDS"); s != "" {
		first, n = rand.Uint64N(1<<40), parseSeed(t, s)
	}
	var total simulated
	for seed := first; seed < first+n; seed++ {
		synctest.Test(t, func(t *testing.T) { total.add(simulate(t, seed, n == 1)) })
		if t.Failed() {
			return
		}
	}
	t.Logf("%d runs: %+v", n, total)
	if n >= 60 { // or the schedule does not get anywhere near what it should test
		require.Greater(t, total.acked, int(20*n))
		require.Greater(t, total.elections, int(3*n))
		require.Greater(t, total.truncations, int(n/2))
		require.Greater(t, total.powerLosses, int(n/4))
	}
}

func parseSeed(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err)
	return n
}

// A simulated counts what happened.
type simulated struct{ steps, acked, elections, truncations, powerLosses, kills int }

func (s *simulated) add(o simulated) {
	s.steps += o.steps
	s.acked += o.acked
	s.elections += o.elections
	s.truncations += o.truncations
	s.powerLosses += o.powerLosses
	s.kills += o.kills
}

// A simulation is a world and a schedule.
type simulation struct {
	*world
	t       *testing.T
	seed    uint64
	verbose bool
	minISR  int
	lossy   map[int32]bool // lost power and is not back in the ISR
	values  int
	done    simulated
}

func simulate(t *testing.T, seed uint64, verbose bool) simulated {
	rng := rand.New(rand.NewPCG(seed, 2))
	brokers := 3 + rng.IntN(2)
	minISR := 1 + rng.IntN(brokers-1)
	configs := map[string]string{"min.insync.replicas": strconv.Itoa(minISR)}
	s := &simulation{t: t, seed: seed, verbose: verbose, minISR: minISR, lossy: map[int32]bool{}}
	s.world = newWorld(seed, brokers, configs, func(f string, a ...any) { t.Fatalf("seed %d: %s", seed, fmt.Sprintf(f, a...)) })
	defer s.close()
	s.rng = rng
	s.observe("%d brokers, min ISR %d", brokers, minISR)
	for range 250 {
		s.step()
	}
	s.recover()
	return s.done
}

// observe checks everything after a step.
func (s *simulation) observe(f string, a ...any) {
	if s.verbose {
		s.t.Logf("%s", fmt.Sprintf(f, a...))
	}
	for _, p := range s.resolve() {
		if p.err == nil {
			s.done.acked++
		}
		s.say("%s: %s", p.name, outcome(p))
	}
	for _, said := range s.said {
		if s.verbose {
			s.t.Logf("    %s", said)
		}
		if strings.Contains(said, " truncated from ") {
			s.done.truncations++
		}
	}
	s.said = nil
	for _, id := range s.partition().ISR {
		if s.node(id).up {
			delete(s.lossy, id)
		}
	}
	if s.god.lossy {
		s.t.Errorf("seed %d, step %d: an unclean election, although enough replicas kept everything", s.seed, s.done.steps)
	}
	for _, wrong := range s.god.check() {
		s.t.Errorf("seed %d, step %d, %s: %s", s.seed, s.done.steps, fmt.Sprintf(f, a...), wrong)
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// step lets one thing happen.
func (s *simulation) step() {
	s.done.steps++
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	switch roll := s.rng.IntN(100); {
	case roll < 22:
		s.send(n)
	case roll < 60:
		s.copy(n)
	case roll < 72:
		s.alter(n)
	case roll < 75:
		s.tickAll()
	case roll < 79:
		pause := time.Duration(s.rng.IntN(20)) * time.Second
		time.Sleep(pause)
		s.observe("%v pass", pause)
	case roll < 84:
		n.deaf = n.up && !n.deaf && s.rng.IntN(2) == 0
		if n.up && !n.deaf {
			n.learn()
		}
		s.observe("broker %d deaf: %v", n.id, n.deaf)
	case roll < 88:
		s.session(n)
	case roll < 90:
		s.apply(state.ElectLeaders{Partitions: []metadata.TopicPartition{s.tp}})
		s.observe("preferred election")
	case roll < 92:
		if n.up && n.replica != nil {
			if err := n.log.Sync(); err != nil {
				s.fail("broker %d: %v", n.id, err)
			}
			n.checkpoint = n.replica.HighWatermark()
			s.observe("broker %d syncs", n.id)
		}
	default:
		s.crashOrStart(n)
	}
}

// send has somebody produce to a broker that believes to lead, mostly.
func (s *simulation) send(n *node) {
	for range 3 {
		if n.up && n.replica.Status().Role == Leading {
			break
		}
		n = s.nodes[s.rng.IntN(len(s.nodes))]
	}
	var values []string
	for range 1 + s.rng.IntN(3) {
		s.values++
		values = append(values, fmt.Sprint("v", s.values))
	}
	acks := int16(acksAll)
	if s.rng.IntN(4) == 0 {
		acks = 1
	}
	p := s.produce(values[0], n.id, acks, nil, values...)
	s.observe("produce %v to %d, acks=%d: %d %v", values, n.id, acks, p.at.BaseOffset, p.err)
}

// copy moves a follower's fetch one step on.
func (s *simulation) copy(n *node) {
	if !n.up {
		return
	}
	switch {
	case n.asked == nil:
		err := n.ask(s.how())
		s.observe("broker %d asks: %v", n.id, err)
		if err == nil && s.rng.IntN(3) > 0 {
			s.copy(n)
		}
	case s.rng.IntN(8) == 0:
		n.asked = nil
		s.observe("the answer to broker %d is lost", n.id)
	default:
		s.observe("broker %d gets an answer: %v", n.id, n.deliver())
	}
}

func (s *simulation) how() askHow {
	if s.rng.IntN(2) == 0 {
		return askHow{maxBytes: 1} // one batch at a time
	}
	return askHow{maxBytes: 1 << 20}
}

// alter moves proposals and answers one step on.
func (s *simulation) alter(n *node) {
	switch {
	case !n.up:
	case len(n.answers) > 0 && s.rng.IntN(2) == 0:
		a := n.answers[0]
		n.answers = n.answers[1:]
		if s.rng.IntN(4) == 0 {
			a.err = metadata.ErrRequestTimedOut
		}
		n.replica.Answered(a.p, a.err, time.Now())
		s.observe("broker %d is answered %v: %v", n.id, a.p, a.err)
	case len(n.proposals) > 0:
		p := n.proposals[0]
		n.proposals = n.proposals[1:]
		if s.rng.IntN(5) == 0 {
			n.answers = append(n.answers, answer{p, metadata.ErrRequestTimedOut})
			s.observe("%v of broker %d is lost", p, n.id)
			return
		}
		s.observe("broker %d proposes %v: %v", n.id, p, n.decide(p))
	case n.last != nil && s.rng.IntN(4) == 0:
		answers := n.answers
		err := n.decide(*n.last)
		n.answers = answers
		s.observe("broker %d proposes %v once more: %v", n.id, n.last, err)
	}
}

func (s *simulation) tickAll() {
	for _, n := range s.nodes {
		if n.up {
			n.replica.Tick(time.Now())
		}
	}
	s.observe("everybody looks at the clock")
}

// session lets a broker's session end or come back, whatever its process does.
func (s *simulation) session(n *node) {
	b, _ := s.state.Image().Broker(n.id)
	switch {
	case b.Fenced && n.up:
		n.unfence()
		s.observe("broker %d is unfenced", n.id)
	case !b.Fenced:
		n.fence("silence")
		s.observe("broker %d is fenced", n.id)
	}
}

// crashOrStart ends a process or begins one. At most min ISR - 1 brokers may have
// lost power at a time: that is what acks=all promises to survive.
func (s *simulation) crashOrStart(n *node) {
	switch {
	case !n.up:
		n.fence("its process is gone")
		if err := n.start(); err != nil {
			s.fail("broker %d: %v", n.id, err)
		}
		if s.rng.IntN(4) > 0 {
			n.unfence()
		}
		s.observe("broker %d starts", n.id)
	case s.rng.IntN(2) == 0 && (s.lossy[n.id] || len(s.lossy) < s.minISR-1):
		s.done.powerLosses++
		s.lossy[n.id] = true
		n.crash()
		n.disk.PowerLoss()
		s.observe("broker %d loses power", n.id)
	default:
		s.done.kills++
		n.crash()
		s.observe("broker %d is killed", n.id)
	}
}

// recover ends all faults and expects everything to come good.
func (s *simulation) recover() {
	for _, n := range s.nodes {
		if !n.up {
			s.crashOrStart(n)
		}
		n.deaf = false
		n.learn()
		n.unfence()
	}
	s.observe("all is well again")
	for range 12 {
		for _, n := range s.nodes {
			n.asked = nil
			for range 1000 {
				before := n.log.LogEndOffset()
				if n.ask(askHow{maxBytes: 1 << 20}) != nil || n.asked.ans.Err != nil {
					break
				}
				diverging := n.asked.ans.Diverging != nil
				_ = n.deliver()
				if !diverging && n.log.LogEndOffset() == before {
					break
				}
			}
		}
		s.observe("everybody has copied what there is")
		for _, n := range s.nodes {
			for len(n.proposals)+len(n.answers) > 0 {
				s.settleProposals(n)
			}
		}
		time.Sleep(s.lag / 2)
		s.tickAll()
	}
	p := s.partition()
	require.Len(s.t, p.ISR, len(s.nodes), "seed %d: the ISR is %v", s.seed, p)
	for _, n := range s.nodes {
		require.Equal(s.t, s.nodes[0].batches(), n.batches(), "seed %d: broker %d", s.seed, n.id)
		require.Equal(s.t, n.log.LogEndOffset(), n.replica.HighWatermark(), "seed %d: broker %d", s.seed, n.id)
	}
	for _, produced := range s.produces {
		require.True(s.t, produced.resolved, "seed %d: %s still waits", s.seed, produced.name)
	}
	s.done.elections = int(p.LeaderEpoch)
}

func (s *simulation) settleProposals(n *node) {
	for _, a := range n.answers {
		n.replica.Answered(a.p, a.err, time.Now())
	}
	n.answers = nil
	if len(n.proposals) > 0 {
		p := n.proposals[0]
		n.proposals = n.proposals[1:]
		_ = n.decide(p)
	}
	s.observe("broker %d proposes what it has to", n.id)
}
