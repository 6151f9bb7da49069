package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// haunt has a commit of a member arrive when its life is over, perhaps in a generation that
// knows nothing of it any more: what a process had in its buffers when it was stopped.
func (c *crowd) haunt(ctx context.Context, m *member) {
	offsets := m.cl.UncommittedOffsets()
	if len(offsets) == 0 {
		offsets = m.cl.CommittedOffsets()
	}
	id, generation := m.id, m.epoch
	if len(offsets) == 0 || id == "" {
		return
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = c.Name, id, generation
	if m.owner.Instance != "" {
		req.InstanceID = &m.owner.Instance
	}
	for topic, partitions := range offsets {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = topic
		for partition, at := range partitions {
			if at.Offset < 0 {
				continue
			}
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch = partition, at.Offset, at.Epoch
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	after := millis(m.rng, 1, 8000)
	c.ghosts.Go(func() {
		if sleep(ctx, after) {
			c.run.ask(ctx, m.owner.Name+"'s ghost", func(ctx context.Context, a *asker) { a.commit(ctx, req, m.owner.Name+"/late") })
		}
	})
}

// reset has an administrator set the group's offsets back, and reports whether it was done.
func (c *crowd) reset(ctx context.Context, rng *rand.Rand, n, try int) (done bool) {
	name := fmt.Sprintf("%s/reset%d.%d", c.Name, n, try)
	c.run.ask(ctx, name, func(ctx context.Context, a *asker) {
		now := a.offsets(ctx, c.Name)
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.Generation = c.Name, -1
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = work
		for place, offset := range now {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset = place.Partition, int64(rng.Float64()*float64(offset))
			t.Partitions = append(t.Partitions, p)
		}
		if len(t.Partitions) == 0 {
			done = now != nil
			return
		}
		req.Topics = append(req.Topics, t)
		done = a.commit(ctx, req, name)
	})
	return done
}

// An asker is a client that asks one thing and goes.
type asker struct {
	run  *run
	name string
	cl   *kgo.Client
	sent atomic.Int32
}

func (r *run) ask(ctx context.Context, name string, what func(context.Context, *asker)) {
	a := &asker{run: r, name: name}
	w := wires{dial: r.cluster.Dial, tap: func() *tap { return &tap{asked: a.asks, answered: func(int16, int16, time.Time) {}} }}
	cl, err := kgo.NewClient(append(r.clientOptions(), kgo.Dialer(w.Dial), kgo.MaxVersions(byName()))...)
	if err != nil {
		r.wrong("client: %v", err)
		return
	}
	defer cl.Close()
	a.cl = cl
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	what(ctx, a)
}

func (a *asker) asks(key int16) {
	if key == offsetCommitKey {
		a.sent.Add(1)
	}
}

// commit sends a commit, and reports whether every part of it was acknowledged.
func (a *asker) commit(ctx context.Context, req *kmsg.OffsetCommitRequest, note string) bool {
	begun := a.run.history.Commits(commitsOf(req, note)...)
	a.sent.Store(0)
	var resp *kmsg.OffsetCommitResponse
	answer, err := a.cl.Request(ctx, req)
	if err == nil {
		resp = answer.(*kmsg.OffsetCommitResponse)
	}
	a.run.history.endAll(begun, resp, err, a.sent.Load() <= 1)
	for _, c := range begun {
		if c.Outcome != Acked {
			return false
		}
	}
	return true
}

// byName are versions in which topics are named.
func byName() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(offsetCommitKey, 9)
	v.SetMaxKeyVersion(offsetFetchKey, 9)
	return v
}

// offsets asks what a group has committed in the topic that it works on, and notes the answer.
func (a *asker) offsets(ctx context.Context, group string) map[Place]int64 {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic = work
	for _, at := range a.run.plan.workPlaces() {
		t.Partitions = append(t.Partitions, at.Partition)
	}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	began := a.run.history.Tick()
	resp, err := req.RequestWith(ctx, a.cl)
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 {
		return nil
	}
	a.run.history.showAll(resp.Groups[0], a.name, began)
	at := map[Place]int64{}
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if p.Offset >= 0 {
				at[Place{work, p.Partition}] = p.Offset
			}
		}
	}
	return at
}
