package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// A world is everything that one partition needs, real but for the network: the
// coordinator's state machine, and for each broker a disk that can crash, a log
// and a replica. Messages between them are values that wait until somebody
// delivers them, loses them or delivers them twice. It is driven step by step, by
// stories or by a random schedule.
type world struct {
	state    *state.State
	offset   int64 // of the newest metadata entry
	rng      *rand.Rand
	config   metadata.TopicConfig
	defaults *metadata.BrokerConfig
	lag      time.Duration
	tp       metadata.TopicPartition
	nodes    []*node
	fail     func(format string, args ...any) // the world itself is broken

	produces []*produced
	deletes  []*deletion
	god      god
	said     []string // what happened since the last look, for people
}

// An answer is the coordinator's answer to a proposal, on its way back.
type answer struct {
	p   Proposal
	err error
}

// An exchange is a follower's fetch and the leader's answer, on its way back.
type exchange struct {
	replica *Replica // that asked; another one after a restart
	from    int32
	req     FetchPartition
	ans     FetchedPartition
}

// A produced is a batch that somebody sent, and what is known of it.
type produced struct {
	name     string
	values   []string
	at       Appended
	broker   int32
	replica  *Replica
	acks     int16
	err      error
	resolved bool
}

const (
	topicName = "orders"
	logDir    = "orders-0"
)

// newWorld registers brokers 1..n and creates the partition on them.
func newWorld(seed uint64, n int, configs map[string]string, fail func(string, ...any)) *world {
	defaults, err := metadata.NewBrokerConfig(map[string]string{"replica.lag.time.max.ms": "30000"})
	if err != nil {
		fail("broker config: %v", err)
	}
	w := &world{
		state: state.New("world", defaults), rng: rand.New(rand.NewPCG(seed, 1)), defaults: defaults,
		lag: defaults.ReplicaLagTimeMax, fail: fail,
	}
	w.god.init(w)
	assignment := make([]int32, 0, n)
	for id := int32(1); id <= int32(n); id++ {
		node := &node{w: w, id: id, disk: vfs.NewMem(seed + uint64(id)), previous: -1}
		w.nodes = append(w.nodes, node)
		assignment = append(assignment, id)
		node.register(-1)
		node.unfence()
	}
	w.config = defaults.Topic(configs)
	w.tp = metadata.TopicPartition{Topic: metadata.NewUUID(w.rng)}
	res := w.apply(state.CreateTopics{Topics: []state.NewTopic{{
		Name: topicName, ID: w.tp.Topic, Partitions: -1, ReplicationFactor: -1,
		Assignment: [][]int32{assignment}, Configs: configs,
	}}})
	if res.Err != nil || res.Created[0].Err != nil {
		fail("create: %v %v", res.Err, res.Created)
	}
	for _, node := range w.nodes {
		node.boot()
	}
	return w
}

// close ends every process, so that no log stays open.
func (w *world) close() {
	for _, n := range w.nodes {
		if n.up {
			n.crash()
		}
	}
}

func (w *world) node(id int32) *node {
	if id < 1 || int(id) > len(w.nodes) {
		w.fail("there is no broker %d", id)
	}
	return w.nodes[id-1]
}

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// partition is the coordinator's view.
func (w *world) partition() metadata.Partition {
	p, _ := w.state.Image().Partition(w.tp)
	return p
}

// apply has the coordinator carry out a command and the brokers hear of it.
func (w *world) apply(c state.Command) state.Result {
	w.offset++
	before, had := w.state.Image().Partition(w.tp)
	res := w.state.Apply(w.offset, c)
	if after := w.partition(); had && after.PartitionEpoch != before.PartitionEpoch {
		w.god.decided(before, after, res)
		w.say("coordinator: %s", describe(before, after))
	}
	for _, n := range w.nodes {
		if n.up && !n.deaf {
			n.learn()
		}
	}
	return res
}

// decree makes a metadata entry that no command makes.
func (w *world) decree(deltas []metadata.Delta) {
	w.offset++
	before := w.partition()
	image := w.state.Image().Apply(w.offset, deltas)
	decreed, err := state.Decode(image.AppendTo(nil), w.defaults)
	if err != nil {
		w.fail("decree: %v", err)
	}
	w.state = decreed
	w.say("coordinator: %s", describe(before, w.partition()))
	for _, n := range w.nodes {
		if n.up && !n.deaf {
			n.learn()
		}
	}
}

func describe(before, after metadata.Partition) string {
	s := fmt.Sprintf("leader %d, ISR %v", after.Leader, after.ISR)
	if after.Leader == metadata.NoLeader {
		s = fmt.Sprintf("no leader, ISR %v", after.ISR)
	}
	if len(after.ELR) > 0 {
		s += fmt.Sprintf(", ELR %v", after.ELR)
	}
	if after.Recovering {
		s += ", elected uncleanly"
	}
	if after.LeaderEpoch != before.LeaderEpoch {
		s += fmt.Sprintf(", leader epoch %d", after.LeaderEpoch)
	}
	return s + fmt.Sprintf(", partition epoch %d", after.PartitionEpoch)
}

// produce sends one batch to a broker.
func (w *world) produce(name string, to int32, acks int16, idempotent *producer, values ...string) *produced {
	n := w.node(to)
	p := &produced{name: name, values: values, broker: to, acks: acks, replica: n.replica}
	w.produces = append(w.produces, p)
	if !n.up {
		p.err, p.resolved = errors.New("connection refused"), true
		return p
	}
	p.at, p.err = n.replica.Append(context.Background(), newBatch(time.Now(), idempotent, values...), acks, time.Now())
	p.resolved = p.err != nil || acks != acksAll
	if p.resolved && p.err == nil {
		w.god.acked(p)
	}
	return p
}

// resolve looks which produces have an answer by now, as their waiters would.
func (w *world) resolve() (answered []*produced) {
	ended, end := context.WithCancel(context.Background())
	end()
	for _, p := range w.produces {
		if p.resolved {
			continue
		}
		err := p.replica.AwaitCommitted(ended, p.at)
		if errors.Is(err, metadata.ErrRequestTimedOut) {
			continue
		}
		p.err, p.resolved = err, true
		if err == nil {
			w.god.acked(p)
		}
		answered = append(answered, p)
	}
	return answered
}
