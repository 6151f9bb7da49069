package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// An alterer carries the ISR changes that this broker's leaders propose to the
// coordinator: those that gather while one request is under way go out together
// in the next (KIP-497). A proposal names the partition epoch that it presumes,
// so sending it twice does no harm. It has no goroutine but the one that calls run.
type alterer struct {
	self    int32
	epoch   func() int64
	send    func(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
	image   func() *metadata.Image
	replica func(metadata.TopicPartition) *replication.Replica
	pass    func() error  // the gate
	pause   time.Duration // before a proposal whose outcome is unknown is sent again
	wake    chan struct{} // one slot

	mu      sync.Mutex
	pending map[metadata.TopicPartition]replication.Proposal
	order   []metadata.TopicPartition // of pending, oldest first
}

func newAlterer(cfg Config, epoch func() int64, send func(context.Context, kmsg.Request) (kmsg.Response, error),
	image func() *metadata.Image, replica func(metadata.TopicPartition) *replication.Replica) *alterer {
	return &alterer{
		self: cfg.ID, epoch: epoch, send: send, image: image, replica: replica, pass: cfg.Gate.Pass,
		pause: cfg.Config.HeartbeatInterval / 4, wake: make(chan struct{}, 1),
		pending: map[metadata.TopicPartition]replication.Proposal{},
	}
}

// propose takes a leader's wish. The newest one of a partition replaces older
// ones that were not sent yet. It never blocks.
func (a *alterer) propose(p replication.Proposal) {
	a.mu.Lock()
	a.enqueue(p)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *alterer) enqueue(p replication.Proposal) {
	if _, ok := a.pending[p.ID]; !ok {
		a.order = append(a.order, p.ID)
	}
	a.pending[p.ID] = p
}

// again puts back proposals whose outcome is not known, unless newer ones came.
func (a *alterer) again(proposals []replication.Proposal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range proposals {
		if _, ok := a.pending[p.ID]; !ok {
			a.enqueue(p)
		}
	}
}

// take empties the queue.
func (a *alterer) take() []replication.Proposal {
	a.mu.Lock()
	defer a.mu.Unlock()
	batch := make([]replication.Proposal, 0, len(a.order))
	for _, id := range a.order {
		batch = append(batch, a.pending[id])
	}
	clear(a.pending)
	a.order = a.order[:0]
	return batch
}

// run sends proposals until ctx ends.
func (a *alterer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.wake:
		}
		for batch := a.take(); len(batch) > 0; batch = a.take() {
			unknown, err := a.deliver(ctx, batch)
			if err != nil {
				return err
			}
			if len(unknown) == 0 {
				continue
			}
			if err := sleep(ctx, a.pause); err != nil {
				return err
			}
			if err := a.pass(); err != nil {
				return err
			}
			a.again(unknown)
		}
	}
}

// deliver sends one request, gives the answers to the replicas and returns the
// proposals to send again.
func (a *alterer) deliver(ctx context.Context, batch []replication.Proposal) (unknown []replication.Proposal, err error) {
	resp, err := a.send(ctx, alterRequest(a.self, a.epoch(), batch, a.image()))
	if err != nil {
		return nil, err
	}
	answers := alterAnswers(resp)
	now := time.Now()
	for _, p := range batch {
		err := answers(p.ID)
		if errors.Is(err, metadata.ErrNotController) {
			if current(a.image(), p) {
				unknown = append(unknown, p)
				continue
			}
			err = metadata.ErrInvalidUpdateVersion // the metadata log has passed it
		}
		if r := a.replica(p.ID); r != nil {
			r.Answered(p, err, now)
		}
	}
	return unknown, nil
}

// current reports whether the partition still is what the proposal started from.
func current(im *metadata.Image, p replication.Proposal) bool {
	state, ok := im.Partition(p.ID)
	return ok && state.LeaderEpoch == p.LeaderEpoch && state.PartitionEpoch <= p.PartitionEpoch
}

func alterRequest(self int32, epoch int64, batch []replication.Proposal, im *metadata.Image) *kmsg.AlterPartitionRequest {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = 3
	req.BrokerID, req.BrokerEpoch = self, epoch
	topics := map[metadata.UUID]int{}
	for _, p := range batch {
		i, ok := topics[p.ID.Topic]
		if !ok {
			i = len(req.Topics)
			topics[p.ID.Topic] = i
			t := kmsg.NewAlterPartitionRequestTopic()
			t.TopicID = p.ID.Topic
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, alterPartition(p, im))
	}
	return req
}

func alterPartition(p replication.Proposal, im *metadata.Image) kmsg.AlterPartitionRequestTopicPartition {
	part := kmsg.NewAlterPartitionRequestTopicPartition()
	part.Partition = p.ID.Partition
	part.LeaderEpoch, part.PartitionEpoch = p.LeaderEpoch, p.PartitionEpoch
	for _, member := range p.ISR {
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID, m.BrokerEpoch = member.Broker, member.Epoch
		part.NewEpochISR = append(part.NewEpochISR, m)
	}
	if state, _ := im.Partition(p.ID); state.Recovering && !p.Recovered {
		part.LeaderRecoveryState = 1
	}
	return part
}

// alterAnswers reads an answer into each partition's error. A partition that the
// answer leaves out is one whose outcome is not known.
func alterAnswers(resp kmsg.Response) func(metadata.TopicPartition) error {
	all := metadata.ErrNotController
	codes := map[metadata.TopicPartition]int16{}
	if r, ok := resp.(*kmsg.AlterPartitionResponse); ok {
		if err := wire.Err(r.ErrorCode); err != nil {
			all = err
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes[metadata.TopicPartition{Topic: t.TopidID, Partition: p.Partition}] = p.ErrorCode
			}
		}
	}
	return func(id metadata.TopicPartition) error {
		if code, ok := codes[id]; ok {
			return wire.Err(code)
		}
		return all
	}
}
