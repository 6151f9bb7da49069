package replication

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/internal/slab"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

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
	stirred bool // the replica has asked for a Tick

	// On the disk, beside the log.
	previous   int64 // broker epoch that was stored; -1 if none
	session    string
	checkpoint int64 // high watermark
	logStart   int64 // what the checkpoint of log starts says

	// On the way.
	proposals []Proposal // not yet at the coordinator
	last      *Proposal  // delivered most recently
	answers   []answer   // of the coordinator
	asked     *exchange  // a fetch and its answer
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
	if n.logStart > log.LogEndOffset() {
		err = log.Reset(n.logStart)
	} else {
		err = log.SetLogStart(n.logStart)
	}
	if err != nil {
		n.w.fail("broker %d: log start %d: %v", n.id, n.logStart, err)
	}
	n.log = log
	n.replica = NewReplica(ReplicaConfig{
		Topic: topicName, ID: n.w.tp, Self: n.id, SelfEpoch: n.epoch.Load,
		Log: log, HighWatermark: n.checkpoint,
		Image:      n.image.Load,
		Config:     func() metadata.TopicConfig { return n.w.config },
		LagTimeMax: func() time.Duration { return n.w.lag },
		Propose:    func(p Proposal) { n.proposals = append(n.proposals, p) },
		Starts:     n,
		Stirred:    func() { n.stirred = true },
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
		n.checkpoint, n.logStart = 0, 0
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
	if n.replica.unkept() && guard.KeptStart.Holds() {
		_ = n.Keep() // as a Fetcher does
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
		LendTo: []slab.Span{},
	}, time.Now())
	n.asked = &exchange{replica: n.replica, from: leader.id, req: req, ans: FetchedPartition{
		ID: req.ID, HighWatermark: res.HighWatermark, LogStartOffset: res.LogStartOffset,
		Records: append(res.Lent, borrowed(res.Records)...), Diverging: res.Diverging, Err: res.Err,
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

// Emit makes a node the sink of its own events.
func (n *node) Emit(events ...event.Event) {
	for _, e := range events {
		switch e.Kind {
		case event.LogTruncated:
			n.w.say("broker %d: truncated from %d to %d: %s", n.id, e.Data["from"], e.Data["to"], e.Data["why"])
		case event.LogReset:
			n.w.say("broker %d: dropped its log, goes on at %d: %s", n.id, e.Data["to"], e.Data["why"])
		case event.LogStartMoved:
			n.w.say("broker %d: starts at %d now, not %d: %s", n.id, e.Data["to"], e.Data["from"], e.Data["why"])
		case event.EpochStarted:
			n.w.say("broker %d: leads in epoch %d from offset %d on", n.id, e.Data["epoch"], e.Data["offset"])
		}
	}
}

func (n *node) EmitAt(int64, ...event.Event) {}
func (n *node) Wants(event.Kind) bool        { return false }

// batches reads a log from its start to its end.
func (n *node) batches() []stored { return n.batchesFrom(n.log.LogStartOffset()) }

func (n *node) batchesFrom(at int64) []stored {
	end := n.log.LogEndOffset()
	var all []stored
	for at < end {
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
