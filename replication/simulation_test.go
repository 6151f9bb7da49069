package replication

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/internal/guard"
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
	first, n := uint64(1), uint64(100)
	if s := os.Getenv("REPLICATION_SEED"); s != "" {
		first, n = parseSeed(t, s), 1
	} else if s := os.Getenv("REPLICATION_SEEDS"); s != "" {
		first, n = rand.Uint64N(1<<40), parseSeed(t, s)
	}
	var total simulated
	for seed := first; seed < first+n; seed++ {
		log := t.Logf
		if n > 1 {
			log = func(string, ...any) {}
		}
		done, err := simulate(t, seed, log)
		require.NoError(t, err)
		total.add(done)
	}
	t.Logf("%d runs: %+v", n, total)
	if n >= 100 { // or the schedule does not get anywhere near what it should test
		require.Greater(t, total.acked, int(5*n))
		require.Greater(t, total.deleted, int(n/2))
		require.Greater(t, total.elections, int(3*n))
		require.Greater(t, total.truncations, int(n/2))
		require.Greater(t, total.powerLosses, int(n/4))
	}
}

// Guards that random schedules find missing, in so many runs at most. What the
// others protect takes too rare a chain of events: it shows in their stories.
var simulationKills = map[guard.Guard]uint64{
	guard.TruncateByEpoch:       20,
	guard.StepBack:              200,
	guard.FetchedEpoch:          20,
	guard.MaximalISR:            100,
	guard.DivergingIsNoProgress: 100,
	guard.AckAfterCommit:        20,
	guard.ReadCommitted:         20,
	guard.StepDown:              20,
	guard.EpochReached:          100,
	guard.KeptStart:             50,
}

// TestSimulationKillsMutants shows that the simulation can fail: without a guard
// it does, sooner or later.
func TestSimulationKillsMutants(t *testing.T) {
	for _, g := range slices.Sorted(maps.Keys(simulationKills)) {
		t.Run(fmt.Sprintf("m%d %s", g, g), func(t *testing.T) {
			defer g.Remove()()
			for seed := uint64(1); seed <= simulationKills[g]; seed++ {
				if _, err := simulate(t, seed, func(string, ...any) {}); err != nil {
					t.Logf("after %d runs: %v", seed, err)
					return
				}
			}
			t.Errorf("%d runs went well", simulationKills[g])
		})
	}
}

func parseSeed(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err)
	return n
}

// A simulated counts what happened.
type simulated struct{ steps, acked, deleted, elections, truncations, powerLosses, kills int }

func (s *simulated) add(o simulated) {
	s.steps += o.steps
	s.acked += o.acked
	s.deleted += o.deleted
	s.elections += o.elections
	s.truncations += o.truncations
	s.powerLosses += o.powerLosses
	s.kills += o.kills
}

// A simulation is a world and a schedule.
type simulation struct {
	*world
	log    func(string, ...any)
	minISR int
	lossy  map[int32]bool // lost power and is not back in the ISR
	values int
	done   simulated
}

// A violation is what a simulation panics with.
type violation string

// simulate runs one schedule; the error says what went wrong, and when.
func simulate(t *testing.T, seed uint64, log func(string, ...any)) (done simulated, err error) {
	synctest.Test(t, func(*testing.T) {
		s := &simulation{log: log, lossy: map[int32]bool{}}
		defer func() {
			done = s.done
			if v := recover(); v != nil {
				wrong, ok := v.(violation)
				if !ok {
					panic(v)
				}
				err = fmt.Errorf("seed %d, step %d: %s", seed, s.done.steps, wrong)
			}
			if s.world != nil {
				s.close()
			}
		}()
		s.run(seed)
	})
	return done, err
}

func (s *simulation) run(seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	brokers := 3 + rng.IntN(2)
	s.minISR = 1 + rng.IntN(brokers-1)
	s.world = newWorld(seed, brokers, map[string]string{"min.insync.replicas": strconv.Itoa(s.minISR)}, s.violated)
	s.rng = rng
	s.observe("%d brokers, min ISR %d", brokers, s.minISR)
	for range 250 {
		s.step()
	}
	s.recover()
}

func (s *simulation) violated(f string, a ...any) { panic(violation(fmt.Sprintf(f, a...))) }

func (s *simulation) expect(ok bool, f string, a ...any) {
	if !ok {
		s.violated(f, a...)
	}
}

// observe checks everything after a step.
func (s *simulation) observe(f string, a ...any) {
	s.log("%s", fmt.Sprintf(f, a...))
	for _, p := range s.resolve() {
		if p.err == nil {
			s.done.acked++
		}
		s.say("%s: %s", p.name, outcome(p))
	}
	s.done.deleted += s.resolveDeletions()
	for _, said := range s.said {
		s.log("    %s", said)
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
	s.expect(!s.god.lossy, "an unclean election, although enough replicas kept everything")
	for _, wrong := range s.god.check() {
		s.violated("%s: %s", fmt.Sprintf(f, a...), wrong)
	}
}

// step lets one thing happen.
func (s *simulation) step() {
	s.done.steps++
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	switch roll := s.rng.IntN(100); {
	case roll < 18:
		s.send(n)
	case roll < 22:
		s.consume(n)
	case roll < 24:
		s.delete(n)
	case roll < 67:
		s.copy(n)
	case roll < 80:
		s.alter(n)
	case roll < 82:
		s.tickAll()
	case roll < 85:
		pause := time.Duration(s.rng.IntN(20)) * time.Second
		time.Sleep(pause)
		s.observe("%v pass", pause)
	case roll < 90:
		n.deaf = n.up && !n.deaf && s.rng.IntN(3) == 0
		if n.up && !n.deaf {
			n.learn()
		}
		s.observe("broker %d deaf: %v", n.id, n.deaf)
	case roll < 93:
		s.session(n)
	case roll < 95:
		s.apply(state.ElectLeaders{Partitions: []metadata.TopicPartition{s.tp}})
		s.observe("preferred election")
	case roll < 97:
		if n.up {
			s.must(n.log.Sync())
			n.checkpoint = n.replica.HighWatermark()
			s.observe("broker %d syncs", n.id)
		}
	default:
		s.crashOrStart(n)
	}
	for _, n := range s.nodes {
		if b, _ := s.state.Image().Broker(n.id); n.up && b.Fenced && s.rng.IntN(8) == 0 {
			n.unfence() // its heartbeats arrive again
		}
		if !n.up && s.rng.IntN(12) == 0 {
			s.crashOrStart(n)
		}
	}
}

func (s *simulation) must(err error) { s.expect(err == nil, "%v", err) }

// consume has a client ask some broker for the end of the partition, and for records.
func (s *simulation) consume(n *node) {
	if !n.up {
		return
	}
	res := n.replica.Read(nil, ReadRequest{Offset: s.rng.Int64N(n.log.LogEndOffset() + 1), MaxBytes: 1 << 10, AtLeastOne: true,
		CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, Follower: Consumer}, time.Now())
	if res.Err == nil {
		for _, wrong := range s.god.read(res.Records) {
			s.violated("%s", wrong)
		}
	}
	// A client that knows the newest epoch; one that does not may be told an older end.
	end, _, err := n.replica.EndOffset(s.partition().LeaderEpoch)
	if err == nil {
		for _, wrong := range s.god.told(end) {
			s.violated("%s", wrong)
		}
	}
	s.observe("broker %d tells a consumer %d, %v", n.id, end, err)
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
			if s.rng.IntN(2) == 0 && n.asked == nil {
				s.copy(n)
			}
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
			s.tick(n)
		}
	}
	s.observe("everybody looks at the clock")
}

// tick lets a replica look at the clock. If it does not ask for another look, there must
// be nothing to see, however late it is.
func (s *simulation) tick(n *node) {
	n.stirred = false
	n.replica.Tick(time.Now())
	if n.stirred {
		return
	}
	before, proposals := n.replica.Status(), len(n.proposals)
	high, low := n.replica.marks.mark, n.replica.lows.mark
	n.replica.Tick(time.Now().Add(time.Hour))
	if after := n.replica.Status(); len(n.proposals) > proposals || !reflect.DeepEqual(before, after) ||
		high != n.replica.marks.mark || low != n.replica.lows.mark || n.stirred {
		s.fail("broker %d had not asked for a tick, and it made %+v of %+v", n.id, after, before)
	}
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
		s.must(n.start())
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
				if n.ask(askHow{maxBytes: 1 << 20}) != nil {
					break
				}
				diverging := n.asked.ans.Diverging != nil
				if n.deliver() != nil || !diverging && n.log.LogEndOffset() == before {
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
		for _, n := range s.nodes {
			s.must(n.Keep())
		}
		s.tickAll()
	}
	p := s.partition()
	s.expect(len(p.ISR) == len(s.nodes), "all is well, and the ISR is %v of %v", p.ISR, p.Replicas)
	start := int64(0)
	for _, n := range s.nodes {
		start = max(start, n.log.LogStartOffset())
	}
	first := fmt.Sprint(s.nodes[0].batchesFrom(start))
	for _, n := range s.nodes {
		s.expect(fmt.Sprint(n.batchesFrom(start)) == first, "all is well, and the logs of brokers 1 and %d differ", n.id)
		end, hw := n.log.LogEndOffset(), n.replica.HighWatermark()
		s.expect(end == hw, "all is well, and the high watermark of broker %d is %d of %d", n.id, hw, end)
	}
	for _, d := range s.deletes {
		s.violated("all is well, and %s still waits", d.name)
	}
	for _, p := range s.produces {
		s.expect(p.resolved, "all is well, and %s still waits", p.name)
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
