package replication

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// The files in testdata are stories about one partition, orders-0. Each names the
// Kafka improvement or bug that it is about, and opens with what happens and what
// would go wrong without the rule. Run the test with -rewrite to write the
// outcomes anew, then read the difference: it is the specification.
//
// The words. A broker is a number; the coordinator's state machine, the logs, the
// disks and the replicas are the real ones.
//
//	brokers 3 [seed=1] [min.insync.replicas=2 ...]  the cluster; all are replicas, 1 leads in epoch 0
//
//	produce 1 p a b c [acks=all|1] [producer=7:0:0] one batch, called p; the producer is id:epoch:sequence;
//	produce 1 p a*50                                ... of a0 to a49
//	await p                                         what its sender knows
//	fetch 2 [batches=1]                             broker 2 fetches once, from whom it believes to lead
//	fetch 2 until-done                              ... until nothing comes any more
//	ask 2 | deliver 2 | drop 2                      the same in two steps: the answer is held, taken, lost
//	fetch 2 from=3 | fetch 2 broker-epoch=1         it asks somebody else; under an older registration
//	delete 1 p 5 [keep=no]                          a client has everything below 5 deleted; -1: all that is committed
//	keep 2                                          broker 2's disk remembers where its log starts
//	consume 1 0 [epoch=2] [last=1]                  a consumer reads at an offset
//	list 1 [epoch=2]                                a client asks for the latest offset
//
//	alter 1                                         broker 1's proposals reach the coordinator, the answers come back
//	alter 1 lose-request|lose-answer|hold-answer    ... or not
//	answer 1                                        a held answer comes back
//	alter-again 1                                   the network delivers the last proposal once more
//	tick 1 | sleep 40s                              the periodic check; time passes
//
//	deaf 1 | hear 1                                 the metadata log does not reach a broker; it does again
//	fence 2 | unfence 2 | shutdown 2                heartbeats stay away; are back; say goodbye
//	elect preferred|unclean                         somebody asks for an election
//	kill 2 | power-off 2                            a process ends; the disk also loses what was not synced
//	start 2 [too-soon] [fenced]                     a new process, its session before ended (or not yet)
//	wipe 2                                          the disk of a stopped broker is replaced by an empty one
//	sync 2 | checkpoint 2                           fsync of the log; the high watermark is written down
//	decree replicas=(1,2) replicas=(1,2,3)          the assignment changes, twice in one metadata entry
//
//	logs | show | agree                             every log; every replica; whether all logs are equal
//
// After each step the outcome also has what the brokers did by themselves, which
// produces were answered, and every invariant that does not hold any more.
func TestScenarios(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scenario{}
				defer s.close()
				datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
					return s.run(func(f string, a ...any) { t.Fatalf("%s: %s", d.Pos, fmt.Sprintf(f, a...)) }, d)
				})
			})
		})
	}
}

func scenarioFiles(t *testing.T) []string {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// A scenario is a world driven by the words of a story.
type scenario struct {
	w     *world
	fatal func(string, ...any)
}

func (s *scenario) close() {
	if s.w != nil {
		s.w.close()
	}
}

// run carries out one step and tells what came of it.
func (s *scenario) run(fatal func(string, ...any), d *datadriven.TestData) string {
	s.fatal = fatal
	if s.w != nil {
		s.w.fail = fatal
	}
	for _, line := range s.step(d) {
		s.w.say("%s", line)
	}
	for _, p := range s.w.resolve() {
		s.w.say("%s: %s", p.name, outcome(p))
	}
	_ = s.w.resolveDeletions()
	for _, wrong := range s.w.god.check() {
		s.w.say("WRONG: %s", wrong)
	}
	lines := s.w.said
	s.w.said = nil
	if len(lines) == 0 {
		return "ok\n"
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *scenario) step(d *datadriven.TestData) (out []string) {
	switch d.Cmd {
	case "brokers":
		s.brokers(d)
	case "produce", "await", "consume", "list":
		return s.client(d)
	case "delete":
		return s.delete(d)
	case "fetch", "ask", "deliver", "drop":
		s.fetch(d)
	case "alter", "answer", "alter-again", "tick":
		s.isr(d)
	case "sleep":
		pause, err := time.ParseDuration(d.CmdArgs[0].Key)
		s.must(err)
		time.Sleep(pause)
	case "fence", "shutdown", "elect", "decree":
		return s.coordinate(d)
	case "logs", "show", "agree":
		return s.look(d)
	default:
		return s.life(d)
	}
	return out
}

func (s *scenario) brokers(d *datadriven.TestData) {
	configs, seed := map[string]string{}, uint64(1)
	for _, arg := range d.CmdArgs[1:] {
		if arg.Key == "seed" {
			seed = uint64(s.number(arg.Vals[0]))
			continue
		}
		configs[arg.Key] = arg.Vals[0]
	}
	s.close()
	s.w = newWorld(seed, s.number(d.CmdArgs[0].Key), configs, s.fatal)
}
