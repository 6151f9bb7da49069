package consumergroup

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// The files in testdata are stories about one group, orders. Each opens with what
// happens and what would go wrong without the rule that it is about. Run the test with
// -rewrite to write the outcomes anew, then read the difference: it is the specification.
//
//	group [initial-delay=3s] [max-size=2] [min-session=6s] [max-session=30m]
//
//	join a [instance=i] [session=10s] [rebalance=1m] [cooperative] [protocols=(range,rr)] [type=consumer] [version=9]
//	join a again | join a once          the same request again; only once, when it is given a member id
//	sync a [0,1 b=2,3] [generation=1] [protocol=range]   the group leader's: its own partitions, others'
//	sync a all=4                        ... it assigns 4 partitions as a client would
//	heartbeat a b [generation=1]        | commit a [generation=1] [at the group's broker]
//	leave a b [instance=i]              | delete
//	simple-commit                       a commit of who takes no part in the group
//	restart a                           its process ends without a word, and begins anew
//
//	sleep 10s                           time passes
//	slow | commit-entry | fail-entry    the log commits nothing; it commits the entry under way; never will
//	crash [entry=committed]             the coordinator ends; the entry under way is committed, or lost
//	start | lower-max-size 1            the next coordinator becomes active; it will have another config
//	deaf | hear                         the group's broker replays no facts; it does again
//	silent 2s | heard | moved           it has been silent for so long; is heard again; is another one
//	show                                what is committed
//
// After each step the outcome has what was committed, who was answered, and every invariant
// that does not hold any more.
func TestScenarios(t *testing.T) {
	for _, path := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := &scenario{}
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
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
type scenario struct{ w *world }

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "group" {
		s.w = newWorld(groupConfig(t, d))
	}
	w := s.w
	switch d.Cmd {
	case "group":
	case "join", "sync", "heartbeat", "commit", "leave", "restart", "simple-commit", "delete":
		s.client(t, d)
	case "sleep":
		w.sleep(duration(t, d.CmdArgs[0].Key))
	case "slow", "commit-entry", "fail-entry", "crash", "start":
		s.coordinator(d)
	case "deaf", "hear", "silent", "heard", "moved":
		s.broker(t, d)
	case "lower-max-size":
		w.config.MaxSize = number(t, d.CmdArgs[0].Key)
	case "show":
		w.said = append(w.said, factsWords(w.facts)...)
	default:
		t.Fatalf("%s: no such step: %s", d.Pos, d.Cmd)
	}
	for _, wrong := range w.check() {
		w.say("WRONG: %s", wrong)
	}
	lines := w.said
	w.said = nil
	if len(lines) == 0 {
		return "nothing\n"
	}
	return strings.Join(lines, "\n") + "\n"
}

func groupConfig(t *testing.T, d *datadriven.TestData) Config {
	config := defaultConfig()
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "initial-delay":
			config.InitialDelay = duration(t, arg.Vals[0])
		case "min-session":
			config.MinSessionTimeout = duration(t, arg.Vals[0])
		case "max-session":
			config.MaxSessionTimeout = duration(t, arg.Vals[0])
		case "max-size":
			config.MaxSize = number(t, arg.Vals[0])
		}
	}
	return config
}

func (s *scenario) client(t *testing.T, d *datadriven.TestData) {
	switch d.Cmd {
	case "join":
		s.join(t, d)
	case "sync":
		s.sync(t, d)
	case "restart":
		s.w.client(d.CmdArgs[0].Key).restart()
	case "heartbeat", "commit":
		s.speak(t, d)
	case "leave":
		s.leave(d)
	case "simple-commit":
		s.w.say("%s", result(s.w.commitOffsets(Commit{Generation: -1})))
	case "delete":
		s.w.send(nil, func(t Token) Request { return Delete{t} })
	}
}

func (s *scenario) join(t *testing.T, d *datadriven.TestData) {
	c := s.w.client(d.CmdArgs[0].Key)
	once, again := false, false
	for _, arg := range d.CmdArgs[1:] {
		switch arg.Key {
		case "instance":
			c.instance = arg.Vals[0]
		case "session":
			c.session = duration(t, arg.Vals[0])
		case "rebalance":
			c.timeout = duration(t, arg.Vals[0])
		case "version":
			c.version = number(t, arg.Vals[0])
		case "type":
			c.kind = arg.Vals[0]
		case "cooperative":
			c.coop = true
		case "protocols":
			c.protocol = []Protocol{}
			for _, name := range arg.Vals {
				if name != "" {
					c.protocol = append(c.protocol, Protocol{name, "orders"})
				}
			}
		case "once":
			once = true
		case "again":
			again = true
		default:
			t.Fatalf("%s: join %s", d.Pos, arg.Key)
		}
	}
	if again {
		c.again()
		return
	}
	c.join()
	if c.id != "" && c.phase == outside && c.id == c.made && !once {
		c.join() // with the member id that it was given
	}
}

func (s *scenario) sync(t *testing.T, d *datadriven.TestData) {
	c := s.w.client(d.CmdArgs[0].Key)
	var assignments []Assignment
	for _, arg := range d.CmdArgs[1:] {
		switch {
		case arg.Key == "all":
			assignments = c.assign(number(t, arg.Vals[0]))
		case arg.Key == "protocol":
			c.chosen = arg.Vals[0]
		case arg.Key == "generation":
			c.generation = int32(number(t, arg.Vals[0]))
		case len(arg.Vals) == 0:
			assignments = append(assignments, Assignment{c.id, arg.Key})
		default:
			assignments = append(assignments, Assignment{s.w.client(arg.Key).id, strings.Join(arg.Vals, ",")})
		}
	}
	c.sync(assignments)
}

// speak is a heartbeat or a commit of some clients.
func (s *scenario) speak(t *testing.T, d *datadriven.TestData) {
	generation := int32(-2)
	args := slices.DeleteFunc(slices.Clone(d.CmdArgs), func(arg datadriven.CmdArg) bool {
		if arg.Key == "generation" {
			generation = int32(number(t, arg.Vals[0]))
		}
		return arg.Key == "generation"
	})
	for _, arg := range args {
		c := s.w.client(arg.Key)
		if generation != -2 {
			c.generation = generation
		}
		if d.Cmd == "heartbeat" {
			c.heartbeat()
		} else {
			s.w.say("%s's commit: %s", c.name, result(c.commit()))
		}
	}
}

func (s *scenario) leave(d *datadriven.TestData) {
	if len(d.CmdArgs) == 1 && d.CmdArgs[0].Key != "instance" {
		s.w.client(d.CmdArgs[0].Key).leave()
		return
	}
	var leavers []Leaver
	for _, arg := range d.CmdArgs {
		if arg.Key == "instance" {
			leavers = append(leavers, Leaver{Instance: arg.Vals[0]})
			continue
		}
		c := s.w.client(arg.Key)
		leavers = append(leavers, Leaver{c.id, c.instance})
	}
	s.w.send(nil, func(t Token) Request { return Leave{t, leavers} })
}

func (s *scenario) coordinator(d *datadriven.TestData) {
	switch w := s.w; d.Cmd {
	case "slow":
		w.slow, w.restless = true, true
	case "commit-entry":
		w.commit()
	case "fail-entry":
		w.fail(metadata.ErrCoordinatorNotAvailable)
	case "crash":
		w.crash(len(d.CmdArgs) > 0)
	case "start":
		w.slow = false
		w.start()
	}
}

func (s *scenario) broker(t *testing.T, d *datadriven.TestData) {
	switch w := s.w; d.Cmd {
	case "deaf":
		w.deaf, w.restless = true, true
	case "hear":
		w.deaf = false
		w.pass()
	case "silent":
		w.restless = true
		w.group.Freeze(w.now.Add(-duration(t, d.CmdArgs[0].Key)))
	case "heard":
		w.take(w.group.Thaw(w.now))
	case "moved":
		w.take(w.group.Moved(w.now))
	}
}

func result(err error) string {
	if err != nil {
		return code(err)
	}
	return "accepted"
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	require.NoError(t, err)
	return d
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	require.NoError(t, err)
	return n
}
