package state

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/metadata"
)

// Whatever is asked, in whatever order: the invariants hold after each command,
// another state fed the same bytes is equal byte for byte, and so is one that was
// restored from a snapshot half-way.
func TestAnyCommandsKeepTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newWorld(t)
		snapshotAt := rapid.IntRange(0, 150).Draw(t, "snapshot at")
		restored := New("", g.twin.defaults)
		for i := range rapid.IntRange(1, 150).Draw(t, "commands") {
			if i == snapshotAt {
				var err error
				restored, err = Decode(g.state.AppendTo(nil), g.state.defaults)
				require.NoError(t, err)
			}
			entry := EncodeCommand(g.draw(t))
			g.apply(t, entry)
			if i >= snapshotAt {
				c, err := DecodeCommand(entry)
				require.NoError(t, err)
				restored.Apply(g.offset, c)
				require.Equal(t, g.state.AppendTo(nil), restored.AppendTo(nil), "snapshot and tail against all of it")
			}
		}
	})
}

// A world is a state, its twin, and what the outside knows: enough to ask for
// things that are mostly right.
type world struct {
	state, twin *State
	offset      int64
	process     byte
	topics      byte
}

const worldBrokers = 4

var kinds = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}

func newWorld(t *rapid.T) *world {
	configs := map[string]string{}
	if rapid.Bool().Draw(t, "min ISR 2") {
		configs["min.insync.replicas"] = "2"
	}
	defaults, err := metadata.NewBrokerConfig(configs)
	require.NoError(t, err)
	g := &world{state: New("world", defaults), twin: New("world", defaults)}
	for id := range int32(worldBrokers) {
		g.apply(t, EncodeCommand(g.register(id, -1)))
		g.apply(t, EncodeCommand(UnfenceBroker{id, g.offset}))
	}
	for range 3 {
		g.apply(t, EncodeCommand(g.drawTopics(t)))
	}
	return g
}

func (g *world) apply(t *rapid.T, entry []byte) {
	g.offset++
	before := g.state.Image()
	c, err := DecodeCommand(entry)
	require.NoError(t, err)
	r := g.state.Apply(g.offset, c)
	require.NoError(t, checkImage(g.state), "%#v", c)
	require.NoError(t, checkStep(g.state, before, c, r), "%#v", c)

	again, err := DecodeCommand(entry)
	require.NoError(t, err)
	require.Equal(t, r, g.twin.Apply(g.offset, again))
	require.Equal(t, g.state.AppendTo(nil), g.twin.AppendTo(nil))

	// What a broker makes of the deltas is what the coordinator has.
	deltas, err := metadata.DecodeDeltas(metadata.AppendDeltas(nil, r.Deltas))
	require.NoError(t, err)
	if len(deltas) > 0 {
		require.Equal(t, g.state.AppendTo(nil), before.Apply(g.offset, deltas).AppendTo(nil))
	}
}

func (g *world) register(id int32, previous int64) Command {
	g.process++
	return RegisterBroker{
		Broker:        metadata.Broker{ID: id, Incarnation: metadata.UUID{1, g.process}, Rack: string('a' + id%2)},
		PreviousEpoch: previous,
	}
}

func (g *world) draw(t *rapid.T) Command {
	id := rapid.SampledFrom([]int32{0, 1, 2, 3}).Draw(t, "broker")
	b, _ := g.state.Image().Broker(id)
	epoch := b.Epoch
	if rapid.IntRange(0, 19).Draw(t, "late") == 0 {
		epoch--
	}
	// Sampled, since a range is drawn from its lower end mostly.
	switch rapid.SampledFrom(kinds).Draw(t, "command") {
	case 0, 1:
		return g.register(id, rapid.SampledFrom([]int64{-1, b.UnfencedEpoch - 1, b.UnfencedEpoch, b.Epoch, b.Epoch + 1}).Draw(t, "previous"))
	case 2, 3, 4:
		return FenceBroker{id, epoch, "drawn"}
	case 5, 6, 7, 8:
		return UnfenceBroker{id, epoch}
	case 9:
		return BeginShutdown{id, epoch}
	case 10, 11:
		return g.drawTopics(t)
	case 12:
		if topics := g.state.Image().Topics(); len(topics) > 3 {
			return DeleteTopics{[]TopicRef{{ID: rapid.SampledFrom(topics).Draw(t, "topic").ID}}}
		}
		return DeleteTopics{[]TopicRef{{Name: "nothing"}}}
	case 13:
		c := ElectLeaders{Unclean: rapid.IntRange(0, 3).Draw(t, "unclean") == 0}
		if rapid.Bool().Draw(t, "one") {
			c.Partitions = []metadata.TopicPartition{g.drawPartition(t)}
		}
		return c
	case 14:
		return AllocateProducerIDs{id, epoch, rapid.Int32Range(-1, 5).Draw(t, "count")}
	case 20, 21, 22:
		return g.drawGroup(t)
	default:
		return g.drawAlter(t)
	}
}

// drawGroup is a change that mostly knows what was committed before it.
func (g *world) drawGroup(t *rapid.T) Command {
	c := ChangeGroup{ID: rapid.SampledFrom([]string{"a", "b", "billing"}).Draw(t, "group"), Whole: rapid.Bool().Draw(t, "whole")}
	group, _ := g.state.Image().Group(c.ID)
	c.Presumes = group.Offset - int64(rapid.SampledFrom([]int{0, 0, 0, 0, 1}).Draw(t, "late"))
	c.Facts = append([]byte(nil), rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "facts")...)
	return c
}

func (g *world) drawTopics(t *rapid.T) Command {
	c := CreateTopics{Seed: rapid.Uint64().Draw(t, "seed"), ValidateOnly: rapid.IntRange(0, 9).Draw(t, "validate") == 0}
	for range rapid.IntRange(1, 2).Draw(t, "topics") {
		g.topics++
		topic := NewTopic{
			Name: string([]byte{'t', 'a' + g.topics%26, "._"[g.topics%2]}), ID: metadata.UUID{2, g.topics},
			Partitions: rapid.Int32Range(-1, 3).Draw(t, "partitions"), ReplicationFactor: rapid.Int16Range(-1, worldBrokers).Draw(t, "rf"),
			Configs: rapid.SampledFrom([]map[string]string{
				nil, {"min.insync.replicas": "2"}, {"min.insync.replicas": "3"}, {"unclean.leader.election.enable": "true"},
			}).Draw(t, "configs"),
		}
		if rapid.IntRange(0, 3).Draw(t, "assigned") == 0 {
			topic.Partitions, topic.ReplicationFactor = -1, -1
			topic.Assignment = [][]int32{rapid.SliceOfN(rapid.Int32Range(0, worldBrokers-1), 1, 3).Draw(t, "replicas")}
		}
		c.Topics = append(c.Topics, topic)
	}
	return c
}

func (g *world) drawPartition(t *rapid.T) metadata.TopicPartition {
	topics := g.state.Image().Topics()
	if len(topics) == 0 {
		return metadata.TopicPartition{}
	}
	topic := rapid.SampledFrom(topics).Draw(t, "topic")
	return metadata.TopicPartition{Topic: topic.ID, Partition: rapid.Int32Range(0, int32(len(topic.Partitions))).Draw(t, "partition")}
}

// drawAlter is a leader's wish, mostly for replicas of the partition and from a
// leader that is up to date.
func (g *world) drawAlter(t *rapid.T) Command {
	tp := g.drawPartition(t)
	im := g.state.Image()
	p, _ := im.Partition(tp)
	behind := func(what string) int32 {
		return int32(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, -1, 1}).Draw(t, what))
	}
	change := PartitionChange{
		TopicPartition: tp, LeaderEpoch: p.LeaderEpoch + behind("leader epoch"), PartitionEpoch: p.PartitionEpoch + behind("partition epoch"),
		Recovered: rapid.IntRange(0, 5).Draw(t, "recovering") > 0,
	}
	for _, id := range p.Replicas {
		if id == p.Leader || rapid.Bool().Draw(t, "in") {
			b, _ := im.Broker(id)
			change.ISR = append(change.ISR, ISRMember{id, b.Epoch + int64(behind("broker epoch"))})
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "stranger") == 0 {
		change.ISR = append(change.ISR, ISRMember{rapid.Int32Range(0, worldBrokers).Draw(t, "who"), -1})
	}
	leader, _ := im.Broker(p.Leader)
	return AlterPartitions{Broker: p.Leader, BrokerEpoch: leader.Epoch, Changes: []PartitionChange{change}}
}
