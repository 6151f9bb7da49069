package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/examples/internal/story"
)

// instances are the static members: group.instance.id by name.
var instances = map[string]string{"dan": "till-4"}

// A member is one process of the group. It does no work: what counts here is who owns what.
type member struct {
	name   string
	client *kgo.Client
	link   *story.Link
	wg     sync.WaitGroup

	gaveUp atomic.Bool // its client did, on a broker that is gone, and joins anew: nobody made it
}

// OnGroupManageError is told by kgo, as a hook, that a member's client gives up what it owns. After a broker's
// death it may: it asks brokers at random where the group's is now, and not for ever. Nothing that a broker answers
// excuses it.
func (m *member) OnGroupManageError(err error) {
	if errors.Is(err, syscall.ECONNREFUSED) {
		m.gaveUp.Store(true)
	}
}

func newMember(c *brokersim.Cluster, name string) (*member, error) {
	m := &member{name: name, link: story.NewLink(c)}
	opts := []kgo.Opt{
		kgo.ClientID(name),
		kgo.Dialer(m.link.Dial),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(story.Topic),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.Balancers(kgo.StickyBalancer()), // one generation for each change; who stays keeps what it can
		kgo.DisableAutoCommit(),
		kgo.WithHooks(m),
	}
	if instance, ok := instances[name]; ok {
		opts = append(opts, kgo.InstanceID(instance))
	}
	client, err := story.NewClient(c, opts...)
	if err != nil {
		return nil, err
	}
	m.client = client
	m.wg.Go(func() {
		for !m.client.PollFetches(context.Background()).IsClientClosed() {
		}
	})
	return m, nil
}

// Close ends the process in good order: a dynamic member leaves its group, a static one
// goes without a word, for it will be back.
func (m *member) Close() {
	m.client.Close()
	m.wg.Wait()
}

// Crash ends the process: nobody hears anything of it any more.
func (m *member) Crash() {
	m.link.Cut()
	m.Close()
}

// A zombie is a member as it was at a moment. It does not know what has happened since.
type zombie struct {
	who          string
	id, instance string
	generation   int32
}

func (m *member) zombie(who string) zombie {
	id, generation := m.client.GroupMetadata()
	return zombie{who, id, instances[m.name], generation}
}

// commit commits an offset.
func (z zombie) commit(ctx context.Context, c *brokersim.Cluster) error {
	client, err := story.NewClient(c, kgo.MaxVersions(kversion.V3_7_0())) // later ones name topics by id
	if err != nil {
		return err
	}
	defer client.Close()
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Offset = 1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = story.Topic, append(topic.Partitions, partition)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation, req.Topics = group, z.id, z.generation, append(req.Topics, topic)
	if z.instance != "" {
		req.InstanceID = &z.instance
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
