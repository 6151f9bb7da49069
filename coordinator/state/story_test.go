package state

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// The files in testdata are stories: commands in the words of a cluster's life,
// each with what it did. Run with -rewrite to write the outcomes anew, then read
// the difference: it is the specification.
//
//	register 1 [rack=a] [previous=5] [process=2]   broker-1's process (a new one each time, or the named one)
//	unfence 1 | fence 1 | shutdown 1 [epoch=5]     under the current epoch, or another
//	brokers 1 2 3 [racks=(a,b,c)]                  registered and unfenced
//	create orders [partitions=3] [rf=2] [replicas=(1+2+3,2+3+1)] [min=2] [unclean] [seed=1] [validate] [k=v]
//	delete orders [id]
//	alter orders-0 by=1 isr=(1,2@9) [leader-epoch=0] [partition-epoch=0] [epoch=5] [recovering]
//	elect preferred|unclean [orders-0 ...]
//	ids 1 [count=1000] [epoch=5]
//	show [orders]
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := newStory(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
	})
}

// A story is one State and the words to drive it. Every command goes through its
// encoding, and every outcome is checked for what must always hold.
type story struct {
	t         *testing.T
	state     *State
	offset    int64
	processes byte
	topics    byte
}

func newStory(t *testing.T) *story {
	defaults, err := metadata.NewBrokerConfig(nil)
	require.NoError(t, err)
	return &story{t: t, state: New("story", defaults)}
}

func (s *story) apply(c Command) Result {
	decoded, err := DecodeCommand(EncodeCommand(c))
	require.NoError(s.t, err)
	require.Equal(s.t, c, decoded)
	s.offset++
	before := s.state.Image()
	r := s.state.Apply(s.offset, decoded)
	require.NoError(s.t, checkImage(s.state), "after offset %d", s.offset)
	require.NoError(s.t, checkStep(s.state, before, decoded, r), "after offset %d", s.offset)
	return r
}

func (s *story) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "brokers":
		var out strings.Builder
		racks := values(d, "racks")
		for i, arg := range numbers(d) {
			rack := ""
			if i < len(racks) {
				rack = racks[i]
			}
			s.tell(&out, s.apply(s.registration(arg, rack, -1, 0)))
			s.tell(&out, s.apply(UnfenceBroker{arg, s.offset}))
		}
		return out.String()
	case "show":
		return s.show(d)
	}
	var out strings.Builder
	s.tell(&out, s.apply(s.command(d)))
	if out.Len() == 0 {
		return "nothing\n"
	}
	return out.String()
}

func (s *story) registration(id int32, rack string, previous int64, process byte) Command {
	if process == 0 {
		s.processes++
		process = 100 + s.processes
	}
	return RegisterBroker{
		Broker: metadata.Broker{
			ID: id, Incarnation: metadata.UUID{process}, Rack: rack,
			Endpoints: []metadata.Endpoint{{Name: metadata.InternalListener, Host: fmt.Sprintf("broker-%d", id), Port: 9090}},
		},
		PreviousEpoch: previous,
	}
}

func (s *story) command(d *datadriven.TestData) Command {
	first := ""
	if len(d.CmdArgs) > 0 {
		first = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "register":
		rack := strings.Join(values(d, "rack"), "")
		return s.registration(s.id(first), rack, number(d, "previous", -1), byte(number(d, "process", 0)))
	case "fence":
		return FenceBroker{s.id(first), s.epoch(d, s.id(first)), "for the story"}
	case "unfence":
		return UnfenceBroker{s.id(first), s.epoch(d, s.id(first))}
	case "shutdown":
		return BeginShutdown{s.id(first), s.epoch(d, s.id(first))}
	case "create":
		return s.create(d)
	case "delete":
		if t := s.state.Image().TopicByName(first); d.HasArg("id") && t != nil {
			return DeleteTopics{[]TopicRef{{ID: t.ID}}}
		}
		return DeleteTopics{[]TopicRef{{Name: first}}}
	case "alter":
		return s.alter(d, first)
	case "elect":
		c := ElectLeaders{Unclean: first == "unclean"}
		for _, arg := range d.CmdArgs[1:] {
			c.Partitions = append(c.Partitions, s.partition(arg.Key))
		}
		return c
	case "ids":
		return AllocateProducerIDs{s.id(first), s.epoch(d, s.id(first)), int32(number(d, "count", ProducerIDBlock))}
	}
	d.Fatalf(s.t, "no command %q", d.Cmd)
	return nil
}

func (s *story) create(d *datadriven.TestData) Command {
	c := CreateTopics{Seed: uint64(number(d, "seed", 1)), ValidateOnly: d.HasArg("validate")}
	partitions, rf := int32(number(d, "partitions", -1)), int16(number(d, "rf", -1))
	var assignment [][]int32
	for _, list := range values(d, "replicas") {
		var replicas []int32
		for _, r := range strings.Split(list, "+") {
			replicas = append(replicas, s.id(r))
		}
		assignment = append(assignment, replicas)
	}
	configs := map[string]string{}
	var names []string
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "partitions", "rf", "replicas", "seed", "validate":
		case "min":
			configs["min.insync.replicas"] = arg.Vals[0]
		case "unclean":
			configs["unclean.leader.election.enable"] = "true"
		default:
			if len(arg.Vals) == 1 {
				configs[arg.Key] = arg.Vals[0]
			} else {
				names = append(names, arg.Key)
			}
		}
	}
	if len(configs) == 0 {
		configs = nil
	}
	for _, name := range names {
		s.topics++
		c.Topics = append(c.Topics, NewTopic{
			Name: name, ID: metadata.UUID{200, s.topics}, Partitions: partitions, ReplicationFactor: rf, Assignment: assignment, Configs: configs,
		})
	}
	return c
}

func (s *story) alter(d *datadriven.TestData, name string) Command {
	tp := s.partition(name)
	p, _ := s.state.Image().Partition(tp)
	by := int32(number(d, "by", int64(p.Leader)))
	change := PartitionChange{
		TopicPartition: tp, LeaderEpoch: int32(number(d, "leader-epoch", int64(p.LeaderEpoch))),
		PartitionEpoch: int32(number(d, "partition-epoch", int64(p.PartitionEpoch))), Recovered: !d.HasArg("recovering"),
	}
	for _, member := range values(d, "isr") {
		id, epoch, given := strings.Cut(member, "@")
		m := ISRMember{Broker: s.id(id), Epoch: -1}
		if b, known := s.state.Image().Broker(m.Broker); known {
			m.Epoch = b.Epoch
		}
		if given {
			var err error
			m.Epoch, err = strconv.ParseInt(epoch, 10, 64)
			require.NoError(s.t, err)
		}
		change.ISR = append(change.ISR, m)
	}
	return AlterPartitions{Broker: by, BrokerEpoch: s.epoch(d, by), Changes: []PartitionChange{change}}
}

// tell writes what a command did.
func (s *story) tell(out *strings.Builder, r Result) {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	if r.Err != nil {
		say("error: %v", r.Err)
	}
	for _, b := range r.Brokers {
		say("broker %d %s, epoch %d", b.Broker.ID, []string{
			"registered " + map[bool]string{true: "clean", false: "unclean"}[r.Clean], "unfenced", "fenced " + b.Reason, "shutting down",
		}[b.What], b.Broker.Epoch)
	}
	if r.BrokerEpoch > 0 && len(r.Brokers) == 0 {
		say("the registration stays, epoch %d", r.BrokerEpoch)
	}
	for _, e := range r.Elections {
		unclean := map[bool]string{true: " UNCLEAN"}[e.Unclean]
		say("%s-%d: leader %s -> %s in epoch %d%s: %s", e.Topic, e.ID.Partition, leader(e.From), leader(e.To), e.Epoch, unclean, e.Why)
	}
	for _, c := range r.ISRs {
		line := fmt.Sprintf("%s-%d: isr %v", c.Topic, c.ID.Partition, c.ISR)
		if len(c.Left) > 0 {
			line += fmt.Sprintf(", left %v", c.Left)
		}
		if len(c.Joined) > 0 {
			line += fmt.Sprintf(", joined %v", c.Joined)
		}
		if c.ELRChanged {
			line += fmt.Sprintf(", elr %v", c.ELR)
		}
		say("%s", line)
	}
	for _, c := range r.Created {
		if c.Err != nil {
			say("error: %v", c.Err)
			continue
		}
		for i, p := range c.Topic.Partitions {
			say("%s-%d: %s", c.Name, i, describe(p))
		}
	}
	for _, c := range r.Deleted {
		if c.Err != nil {
			say("error: %v", c.Err)
		} else {
			say("%s deleted", c.Name)
		}
	}
	for _, p := range r.Partitions {
		if p.Err != nil {
			say("error: %v", p.Err)
		} else {
			say("%s-%d: ok, partition epoch %d", p.Topic, p.ID.Partition, p.State.PartitionEpoch)
		}
	}
	for _, d := range r.Deltas {
		if ids, ok := d.(metadata.ProducerIDsAllocated); ok {
			say("producer ids %d to %d", r.FirstProducerID, ids.Next-1)
		}
	}
}

func (s *story) show(d *datadriven.TestData) string {
	var out strings.Builder
	if len(d.CmdArgs) == 0 {
		for _, b := range s.state.Image().Brokers() {
			fmt.Fprintf(&out, "broker %d: epoch %d", b.ID, b.Epoch)
			if b.Fenced {
				out.WriteString(", fenced")
			}
			if b.ShuttingDown {
				out.WriteString(", shutting down")
			}
			out.WriteString("\n")
		}
	}
	for _, t := range s.state.Image().Topics() {
		if len(d.CmdArgs) > 0 && t.Name != d.CmdArgs[0].Key {
			continue
		}
		for i, p := range t.Partitions {
			fmt.Fprintf(&out, "%s-%d: %s\n", t.Name, i, describe(p))
		}
	}
	return out.String()
}

func describe(p metadata.Partition) string {
	line := fmt.Sprintf("replicas %v isr %v leader %s", p.Replicas, p.ISR, leader(p.Leader))
	if len(p.ELR) > 0 {
		line += fmt.Sprintf(" elr %v", p.ELR)
	}
	if p.LastKnownLeader != metadata.NoLeader {
		line += fmt.Sprintf(" last known %d", p.LastKnownLeader)
	}
	if p.Recovering {
		line += " recovering"
	}
	return line + fmt.Sprintf(", leader epoch %d, partition epoch %d", p.LeaderEpoch, p.PartitionEpoch)
}

func leader(id int32) string {
	if id == metadata.NoLeader {
		return "none"
	}
	return strconv.Itoa(int(id))
}

func (s *story) id(text string) int32 {
	id, err := strconv.ParseInt(text, 10, 32)
	require.NoError(s.t, err)
	return int32(id)
}

func (s *story) partition(name string) metadata.TopicPartition {
	i := strings.LastIndex(name, "-")
	require.Positive(s.t, i, name)
	t := s.state.Image().TopicByName(name[:i])
	if t == nil {
		return metadata.TopicPartition{Topic: metadata.UUID{255}, Partition: s.id(name[i+1:])}
	}
	return metadata.TopicPartition{Topic: t.ID, Partition: s.id(name[i+1:])}
}

func (s *story) epoch(d *datadriven.TestData, broker int32) int64 {
	b, _ := s.state.Image().Broker(broker)
	return number(d, "epoch", b.Epoch)
}

func number(d *datadriven.TestData, key string, otherwise int64) int64 {
	for _, arg := range d.CmdArgs {
		if arg.Key == key {
			n, err := strconv.ParseInt(arg.Vals[0], 10, 64)
			if err != nil {
				panic(errors.Join(err, fmt.Errorf("%s=%v", key, arg.Vals)))
			}
			return n
		}
	}
	return otherwise
}

func numbers(d *datadriven.TestData) (ids []int32) {
	for _, arg := range d.CmdArgs {
		if n, err := strconv.ParseInt(arg.Key, 10, 32); err == nil {
			ids = append(ids, int32(n))
		}
	}
	return ids
}

func values(d *datadriven.TestData, key string) []string {
	for _, arg := range d.CmdArgs {
		if arg.Key == key {
			return arg.Vals
		}
	}
	return nil
}
