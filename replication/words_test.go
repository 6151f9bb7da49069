package replication

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/metadata"
)

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
			done := n.asked.ans.Err != nil || n.asked.ans.Diverging == nil && slab.Size(n.asked.ans.Records) == 0
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
	return fmt.Sprintf("%s, HW %d", s.records(slab.AppendTo(nil, a.Records)), a.HighWatermark)
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
		n.checkpoint, n.logStart = 0, 0
	case "sync":
		s.must(n.log.Sync())
	case "keep":
		s.must(n.Keep())
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
			out = append(out, fmt.Sprintf("broker %d: %s%v to %d, HW %d", n.id, from(n.log.LogStartOffset()), n.batches(), n.log.LogEndOffset(), n.replica.HighWatermark()))
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
	line := fmt.Sprintf("broker %d: %s in epoch %d, %sLEO %d, HW %d", st.Broker, st.Role, st.LeaderEpoch, from(st.LogStartOffset), st.LogEndOffset, st.HighWatermark)
	if st.Role != Leading {
		return line
	}
	if st.LogStartOffset > 0 {
		line += fmt.Sprintf(", low watermark %d", st.LowWatermark)
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

// from says where a log starts, if anything was deleted from it.
func from(start int64) string {
	if start == 0 {
		return ""
	}
	return fmt.Sprintf("start %d, ", start)
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
		metadata.ErrPolicyViolation, metadata.ErrEligibleLeadersNotAvailable, metadata.ErrDuplicateBrokerRegistration, metadata.ErrOutOfOrderSequenceNumber,
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
