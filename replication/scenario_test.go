package replication

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/metadata"
)

// The files in testdata are stories about one partition, orders-0. Each keeps the
// number of the Kafka improvement or bug that it is about, and opens with what
// happens and what would go wrong without the rule. Run the test with -rewrite to
// write the outcomes anew, then read the difference: it is the specification.
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

// client does what producers and consumers do.
func (s *scenario) client(d *datadriven.TestData) []string {
	first := d.CmdArgs[0].Key
	switch d.Cmd {
	case "produce":
		acks, idempotent := int16(acksAll), (*producer)(nil)
		var values []string
		for _, arg := range d.CmdArgs[2:] {
			switch {
			case arg.Key == "acks" && arg.Vals[0] == "1":
				acks = 1
			case arg.Key == "acks":
			case arg.Key == "producer":
				idempotent = s.producer(arg.Vals[0])
			default:
				values = append(values, s.values(arg.Key)...)
			}
		}
		p := s.w.produce(d.CmdArgs[1].Key, int32(s.number(first)), acks, idempotent, values...)
		switch {
		case p.resolved:
			return []string{outcome(p)}
		case p.at.Duplicate:
			return []string{fmt.Sprintf("there already, at %d; waits", p.at.BaseOffset)}
		}
		return []string{fmt.Sprintf("at %d, epoch %d; waits", p.at.BaseOffset, p.at.Epoch)}
	case "await":
		s.w.resolve()
		i := slices.IndexFunc(s.w.produces, func(p *produced) bool { return p.name == first })
		if p := s.w.produces[i]; p.resolved {
			return []string{outcome(p)}
		}
		return []string{"waits"}
	case "list":
		offset, epoch, err := s.broker(d).replica.EndOffset(int32(s.arg(d, "epoch", -1)))
		if err != nil {
			return []string{name(err)}
		}
		return append([]string{fmt.Sprintf("the end is %d, epoch %d", offset, epoch)}, s.w.god.told(offset)...)
	}
	res := s.broker(d).replica.Read(nil, ReadRequest{
		Offset: int64(s.number(d.CmdArgs[1].Key)), MaxBytes: 1 << 20, AtLeastOne: true, Follower: Consumer,
		CurrentLeaderEpoch: int32(s.arg(d, "epoch", -1)), LastFetchedEpoch: int32(s.arg(d, "last", -1)),
	}, time.Now())
	switch {
	case res.Err != nil:
		return []string{name(res.Err)}
	case res.Diverging != nil:
		return []string{fmt.Sprintf("diverging: epoch %d ends at %d", res.Diverging.Epoch, res.Diverging.Offset)}
	}
	return append([]string{s.records(res.Records)}, s.w.god.read(res.Records)...)
}

// values turns a*3 into a0 a1 a2.
func (s *scenario) values(text string) []string {
	stem, times, many := strings.Cut(text, "*")
	if !many {
		return []string{text}
	}
	values := make([]string, s.number(times))
	for i := range values {
		values[i] = fmt.Sprint(stem, i)
	}
	return values
}

// fetch does what followers do.
func (s *scenario) fetch(d *datadriven.TestData) {
	n := s.broker(d)
	how := askHow{maxBytes: 1 << 20, from: int32(s.arg(d, "from", 0)), brokerEpoch: int64(s.arg(d, "broker-epoch", 0))}
	if s.arg(d, "batches", 0) == 1 {
		how.maxBytes = 1
	}
	ask := func() bool {
		if err := n.ask(how); err != nil {
			s.w.say("%v", err)
			return false
		}
		x := n.asked
		s.w.say("asks %d for %d on, its last epoch is %d: %s", x.from, x.req.FetchOffset, x.req.LastFetchedEpoch, s.answer(x.ans))
		return true
	}
	deliver := func() bool {
		err := n.deliver()
		if err != nil {
			s.w.say("broker %d: tries again later", n.id)
		}
		return err == nil
	}
	switch {
	case d.Cmd == "ask":
		ask()
	case d.Cmd == "deliver":
		deliver()
	case d.Cmd == "drop":
		n.asked = nil
	case d.HasArg("until-done"):
		for range 20 {
			if !ask() {
				break
			}
			done := n.asked.ans.Err != nil || n.asked.ans.Diverging == nil && len(n.asked.ans.Records) == 0
			if !deliver() || done {
				break
			}
		}
	default:
		if ask() {
			deliver()
		}
	}
}

func (s *scenario) answer(a FetchedPartition) string {
	switch {
	case a.Err != nil:
		return name(a.Err)
	case a.Diverging != nil:
		return fmt.Sprintf("diverging, epoch %d ends at %d", a.Diverging.Epoch, a.Diverging.Offset)
	}
	return fmt.Sprintf("%s, HW %d", s.records(a.Records), a.HighWatermark)
}

func (s *scenario) records(raw []byte) string {
	batches, err := readBatches(raw)
	s.must(err)
	if len(batches) == 0 {
		return "nothing"
	}
	return fmt.Sprint(batches)
}

// isr does what a leader does about its ISR.
func (s *scenario) isr(d *datadriven.TestData) {
	n := s.broker(d)
	switch d.Cmd {
	case "tick":
		n.replica.Tick(time.Now())
	case "alter-again":
		answers := n.answers
		s.w.say("%v arrives once more", n.last)
		s.w.say("answer: %s", name(n.decide(*n.last)))
		n.answers = answers // nobody waits for this one
	case "answer":
		for _, a := range n.answers {
			n.replica.Answered(a.p, a.err, time.Now())
		}
		n.answers = nil
	case "alter":
		proposals := n.proposals
		n.proposals = nil
		for _, p := range proposals {
			s.w.say("proposes %v", p)
			if !d.HasArg("lose-request") {
				s.w.say("answer: %s", name(n.decide(p)))
			}
			switch {
			case d.HasArg("lose-request"), d.HasArg("lose-answer"):
				n.answers = append(n.answers, answer{p, metadata.ErrRequestTimedOut})
				fallthrough
			case !d.HasArg("hold-answer"):
				a := n.answers[len(n.answers)-1]
				n.answers = nil
				n.replica.Answered(a.p, a.err, time.Now())
			}
		}
		if len(proposals) == 0 {
			s.w.say("nothing to propose")
		}
	}
}

// coordinate does what the coordinator does by itself or when told.
func (s *scenario) coordinate(d *datadriven.TestData) []string {
	switch d.Cmd {
	case "fence":
		s.broker(d).fence("silence")
	case "shutdown":
		n := s.broker(d)
		s.w.apply(state.BeginShutdown{ID: n.id, Epoch: n.epoch.Load()})
	case "elect":
		res := s.w.apply(state.ElectLeaders{Unclean: d.CmdArgs[0].Key == "unclean", Partitions: []metadata.TopicPartition{s.w.tp}})
		if err := res.Partitions[0].Err; err != nil {
			return []string{name(err)}
		}
	case "decree":
		s.decree(d)
	}
	return nil
}

// decree changes the assignment, once for each list of replicas, in one metadata
// entry: the brokers see the last state only. Who is removed leaves the ISR, and
// the leader epoch rises.
func (s *scenario) decree(d *datadriven.TestData) {
	var deltas []metadata.Delta
	p := s.w.partition()
	for _, arg := range d.CmdArgs {
		var replicas []int32
		for _, id := range arg.Vals {
			replicas = append(replicas, int32(s.number(id)))
		}
		stays := func(id int32) bool { return slices.Contains(replicas, id) }
		if !slices.ContainsFunc(p.Replicas, func(id int32) bool { return !stays(id) }) {
			p.LeaderEpoch--
		}
		p.LeaderEpoch++
		p.PartitionEpoch++
		p.Replicas = replicas
		p.ISR = slices.DeleteFunc(slices.Clone(p.ISR), func(id int32) bool { return !stays(id) })
		deltas = append(deltas, metadata.PartitionChanged{TopicPartition: s.w.tp, State: p})
	}
	s.w.decree(deltas)
}

// life does what happens to processes and disks.
func (s *scenario) life(d *datadriven.TestData) []string {
	n := s.broker(d)
	switch d.Cmd {
	case "deaf":
		n.deaf = true
	case "hear":
		n.deaf = false
		n.learn()
	case "kill":
		n.crash()
	case "power-off":
		n.crash()
		n.disk.PowerLoss()
	case "start":
		if !d.HasArg("too-soon") {
			n.fence("its process is gone")
		}
		if err := n.start(); err != nil {
			return []string{name(err)}
		}
		if !d.HasArg("fenced") {
			n.unfence()
		}
	case "unfence":
		n.unfence()
	case "wipe":
		n.disk.Wipe()
		n.checkpoint = 0
	case "sync":
		s.must(n.log.Sync())
	case "checkpoint":
		n.checkpoint = n.replica.HighWatermark()
	default:
		s.fatal("nobody knows what %q means", d.Cmd)
	}
	return nil
}

// look shows things.
func (s *scenario) look(d *datadriven.TestData) (out []string) {
	var logs []string
	for _, n := range s.w.nodes {
		switch {
		case !n.up || n.replica == nil:
			out = append(out, fmt.Sprintf("broker %d: hosts nothing now", n.id))
			continue
		case d.Cmd == "show":
			out = append(out, show(n.replica.Status()))
		case d.Cmd == "logs":
			out = append(out, fmt.Sprintf("broker %d: %v to %d, HW %d", n.id, n.batches(), n.log.LogEndOffset(), n.replica.HighWatermark()))
		}
		raw, err := n.log.Read(nil, n.log.LogStartOffset(), n.log.LogEndOffset(), 1<<20, true)
		s.must(err)
		logs = append(logs, string(raw))
	}
	if d.Cmd == "agree" {
		if len(slices.Compact(logs)) > 1 {
			return append(out, "the logs differ")
		}
		return append(out, fmt.Sprintf("%d logs are equal, byte for byte", len(logs)))
	}
	return out
}

func show(st Status) string {
	line := fmt.Sprintf("broker %d: %s in epoch %d, LEO %d, HW %d", st.Broker, st.Role, st.LeaderEpoch, st.LogEndOffset, st.HighWatermark)
	if st.Role != Leading {
		return line
	}
	line += fmt.Sprintf(", ISR %v", st.ISR)
	if !slices.Equal(slices.Sorted(slices.Values(st.ISR)), slices.Sorted(slices.Values(st.MaximalISR))) {
		line += fmt.Sprintf(", maximal %v", st.MaximalISR)
	}
	for _, f := range st.Followers {
		at := "not seen"
		if f.LogEndOffset >= 0 {
			at = fmt.Sprint("at ", f.LogEndOffset)
		}
		line += fmt.Sprintf("; %d %s", f.Broker, at)
	}
	return line
}

func outcome(p *produced) string {
	switch {
	case p.err != nil:
		return name(p.err)
	case p.at.Duplicate:
		return fmt.Sprintf("acked, at %d as before", p.at.BaseOffset)
	}
	return fmt.Sprintf("acked at %d", p.at.BaseOffset)
}

// name is what clients call an error.
func name(err error) string {
	if err == nil {
		return "taken"
	}
	for _, known := range []error{
		metadata.ErrNotLeaderOrFollower, metadata.ErrFencedLeaderEpoch, metadata.ErrUnknownLeaderEpoch,
		metadata.ErrOffsetNotAvailable, metadata.ErrOffsetOutOfRange, metadata.ErrNotEnoughReplicas,
		metadata.ErrNotEnoughReplicasAfterAppend, metadata.ErrInvalidUpdateVersion, metadata.ErrIneligibleReplica,
		metadata.ErrStaleBrokerEpoch, metadata.ErrNotController, metadata.ErrInvalidRequest,
		metadata.ErrEligibleLeadersNotAvailable, metadata.ErrDuplicateBrokerRegistration, metadata.ErrOutOfOrderSequenceNumber,
	} {
		if errors.Is(err, known) {
			return strings.ToUpper(strings.ReplaceAll(known.Error(), " ", "_"))
		}
	}
	return err.Error()
}

func (s *scenario) producer(text string) *producer {
	parts := strings.Split(text, ":")
	return &producer{id: int64(s.number(parts[0])), epoch: int16(s.number(parts[1])), sequence: int32(s.number(parts[2]))}
}

// broker is the one that a step is about.
func (s *scenario) broker(d *datadriven.TestData) *node {
	n := s.w.node(int32(s.number(d.CmdArgs[0].Key)))
	return n
}

func (s *scenario) arg(d *datadriven.TestData, key string, missing int) int {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return s.number(a.Vals[0])
		}
	}
	return missing
}

func (s *scenario) number(text string) int {
	n, err := strconv.Atoi(text)
	s.must(err)
	return n
}

func (s *scenario) must(err error) {
	if err != nil {
		s.fatal("%v", err)
	}
}
