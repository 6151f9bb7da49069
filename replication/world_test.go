package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
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
	god      god
	said     []string // what happened since the last look, for people
}

// A node is one broker.
type node struct {
	w    *world
	id   int32
	disk *vfs.Mem

	// Of the process.
	up      bool
	deaf    bool // the metadata log does not reach it
	image   atomic.Pointer[metadata.Image]
	epoch   atomic.Int64 // broker epoch
	log     *partition.Log
	replica *Replica

	// On the disk, beside the log.
	previous   int64 // broker epoch that was stored; -1 if none
	session    string
	checkpoint int64 // high watermark

	// On the way.
	proposals []Proposal // not yet at the coordinator
	last      *Proposal  // delivered most recently
	answers   []answer   // of the coordinator
	asked     *exchange  // a fetch and its answer
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

// register announces a new process of the broker.
func (n *node) register(previous int64) state.Result {
	b := metadata.Broker{ID: n.id, Incarnation: metadata.NewUUID(n.w.rng)}
	res := n.w.apply(state.RegisterBroker{Broker: b, PreviousEpoch: previous})
	if res.Err == nil {
		n.epoch.Store(res.BrokerEpoch)
		n.previous, n.session = res.BrokerEpoch, n.disk.Session()
	}
	return res
}

func (n *node) unfence() { n.w.apply(state.UnfenceBroker{ID: n.id, Epoch: n.epoch.Load()}) }

// fence ends the broker's session, dead or alive.
func (n *node) fence(reason string) {
	b, _ := n.w.state.Image().Broker(n.id)
	n.w.apply(state.FenceBroker{ID: n.id, Epoch: b.Epoch, Reason: reason})
}

// boot starts the process: it hears of the metadata and hosts what is its own.
func (n *node) boot() {
	n.up, n.deaf = true, false
	n.learn()
}

// host opens the log and makes the replica.
func (n *node) host() {
	log, _, err := partition.Open(n.disk, logDir, partition.ConfigOf(n.w.config))
	if err != nil {
		n.w.fail("broker %d: open: %v", n.id, err)
	}
	n.log = log
	n.replica = NewReplica(ReplicaConfig{
		Topic: topicName, ID: n.w.tp, Self: n.id, SelfEpoch: n.epoch.Load,
		Log: log, HighWatermark: n.checkpoint,
		Image:      n.image.Load,
		Config:     func() metadata.TopicConfig { return n.w.config },
		LagTimeMax: func() time.Duration { return n.w.lag },
		Propose:    func(p Proposal) { n.proposals = append(n.proposals, p) },
		Events:     n, Node: event.BrokerNode(n.id),
		Failed: func(err error) { n.w.fail("broker %d: %v", n.id, err) },
	})
}

// unhost ends the replica and closes the log.
func (n *node) unhost() {
	if n.replica != nil {
		n.replica.Close()
		_ = n.log.Close()
		n.replica, n.log = nil, nil
	}
}

// learn brings the broker up to the newest metadata.
func (n *node) learn() {
	image := n.w.state.Image()
	old := n.image.Swap(image)
	p, ok := image.Partition(n.w.tp)
	switch {
	case !ok:
		return
	case !slices.Contains(p.Replicas, n.id):
		n.unhost()
		if err := vfs.RemoveAll(n.disk, logDir); err != nil {
			n.w.fail("broker %d: %v", n.id, err)
		}
		n.checkpoint = 0
		return
	case n.replica == nil:
		n.host()
	}
	n.replica.Apply(p, time.Now())
	n.replica.Settle()
	if old != nil && !slices.EqualFunc(old.Brokers(), image.Brokers(), sameRegistration) {
		n.replica.Tick(time.Now())
	}
}

func sameRegistration(a, b metadata.Broker) bool {
	return a.ID == b.ID && a.Epoch == b.Epoch && a.Active() == b.Active()
}

// crash ends the process; what was written stays, as in a page cache.
func (n *node) crash() {
	n.unhost()
	n.up = false
	n.proposals, n.answers, n.asked, n.last = nil, nil, nil, nil
	n.image.Store(nil)
}

// start is a new process on the same disk: the restart rule decides whether it
// may count as the one before.
func (n *node) start() error {
	previous := n.previous
	if n.disk.Session() != n.session {
		previous = -1
	}
	res := n.register(previous)
	if res.Err == nil {
		n.boot()
	}
	return res.Err
}

// An askHow is how a follower asks.
type askHow struct {
	maxBytes    int
	from        int32 // somebody else than the leader it believes in; 0: that one
	brokerEpoch int64 // another than its own; 0: that one
}

// ask has a follower fetch from whom it believes to be the leader; the answer is
// on its way then.
func (n *node) ask(how askHow) error {
	p, ok := n.image.Load().Partition(n.w.tp)
	if !ok || p.Leader == metadata.NoLeader || p.Leader == n.id {
		return errors.New("it follows nobody")
	}
	req, ok := n.replica.position(p.Leader)
	if !ok {
		return errors.New("it does not follow")
	}
	leader := n.w.node(p.Leader)
	if how.from != 0 {
		leader = n.w.node(how.from)
	}
	brokerEpoch := n.epoch.Load()
	if how.brokerEpoch != 0 {
		brokerEpoch = how.brokerEpoch
	}
	if !leader.up {
		return errors.New("connection refused")
	}
	res := leader.replica.Read(nil, ReadRequest{
		Offset: req.FetchOffset, MaxBytes: how.maxBytes, AtLeastOne: true,
		CurrentLeaderEpoch: req.CurrentLeaderEpoch, LastFetchedEpoch: req.LastFetchedEpoch,
		Follower: n.id, FollowerEpoch: brokerEpoch, FollowerLogStart: req.LogStartOffset,
	}, time.Now())
	n.asked = &exchange{replica: n.replica, from: leader.id, req: req, ans: FetchedPartition{
		ID: req.ID, HighWatermark: res.HighWatermark, LogStartOffset: res.LogStartOffset,
		Records: res.Records, Diverging: res.Diverging, Err: res.Err,
	}}
	return nil
}

// deliver gives the follower the answer that is on its way.
func (n *node) deliver() error {
	x := n.asked
	n.asked = nil
	if x == nil || x.replica != n.replica {
		return errors.New("no answer is on its way")
	}
	return n.replica.copied(context.Background(), x.req, x.ans)
}

// decide has the coordinator decide on a proposal; the answer is on its way then.
func (n *node) decide(p Proposal) error {
	change := state.PartitionChange{
		TopicPartition: p.ID, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Recovered: p.Recovered,
	}
	for _, m := range p.ISR {
		change.ISR = append(change.ISR, state.ISRMember{Broker: m.Broker, Epoch: m.Epoch})
	}
	res := n.w.apply(state.AlterPartitions{Broker: n.id, BrokerEpoch: n.epoch.Load(), Changes: []state.PartitionChange{change}})
	err := res.Err
	if err == nil {
		err = res.Partitions[0].Err
	}
	n.last = &p
	n.answers = append(n.answers, answer{p, err})
	return err
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

// Emit makes a node the sink of its own events.
func (n *node) Emit(events ...event.Event) {
	for _, e := range events {
		switch e.Kind {
		case event.LogTruncated:
			n.w.say("broker %d: truncated from %d to %d: %s", n.id, e.Data["from"], e.Data["to"], e.Data["why"])
		case event.LogReset:
			n.w.say("broker %d: dropped its log, goes on at %d: %s", n.id, e.Data["to"], e.Data["why"])
		case event.EpochStarted:
			n.w.say("broker %d: leads in epoch %d from offset %d on", n.id, e.Data["epoch"], e.Data["offset"])
		}
	}
}

func (n *node) EmitAt(int64, ...event.Event) {}
func (n *node) Wants(event.Kind) bool        { return false }

// batches reads a log from its start to its end, or to limit.
func (n *node) batches() []stored {
	end := n.log.LogEndOffset()
	var all []stored
	for at := n.log.LogStartOffset(); at < end; {
		raw, err := n.log.Read(nil, at, end, 1<<20, true)
		if err != nil {
			n.w.fail("broker %d: read at %d: %v", n.id, at, err)
		}
		got, err := readBatches(raw)
		if err != nil || len(got) == 0 {
			n.w.fail("broker %d: read at %d: %d batches, %v", n.id, at, len(got), err)
		}
		all = append(all, got...)
		last := got[len(got)-1]
		at = last.base + int64(len(last.values))
	}
	return all
}
