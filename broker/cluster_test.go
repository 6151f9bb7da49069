package broker

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
)

// A cluster is three coordinator nodes and some brokers in one bubble, over
// memory. The facade does the same and more; this package must not know it.
type cluster struct {
	t            *testing.T
	net          *network.Network
	events       *event.Log
	configs      *metadata.BrokerConfig
	snapshots    uint64
	coordinators map[int32]*node
	brokers      map[int32]*node
	failures     chan error
}

// A node is one place in the cluster: what survives its incarnations, and the
// current one.
type node struct {
	host        *network.Host
	disk        *vfs.Mem
	faults      *vfs.Faults
	gate        *gate.Gate
	broker      *Broker
	coordinator *coordinator.Node
}

// inBubble runs f with a new cluster in virtual time.
func inBubble(t *testing.T, brokers int, settings map[string]string, f func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, brokers, settings)
		defer c.close()
		f(t, c)
	})
}

// newCluster starts a cluster in the bubble that it is called in; close ends it.
func newCluster(t *testing.T, brokers int, settings map[string]string) *cluster {
	t.Helper()
	configs, err := metadata.NewBrokerConfig(settings)
	require.NoError(t, err)
	c := &cluster{
		t: t, net: network.New(1), events: event.NewLog(4096), configs: configs,
		coordinators: map[int32]*node{}, brokers: map[int32]*node{}, failures: make(chan error, 8),
	}
	for id := int32(1); id <= 3; id++ {
		c.coordinators[id] = c.place(event.CoordinatorNode(id), uint64(id))
	}
	for id := int32(1); id <= int32(brokers); id++ {
		c.brokers[id] = c.place(event.BrokerNode(id), uint64(10+id))
	}
	for id := range c.coordinators {
		c.startCoordinator(id, id == 1)
	}
	for id := range c.brokers {
		c.start(id)
	}
	return c
}

func (c *cluster) place(name string, seed uint64) *node {
	return &node{host: c.net.Host(name), disk: vfs.NewMem(seed), faults: &vfs.Faults{}}
}

// incarnate gives a node a fresh gate and a way to its disk.
func (n *node) incarnate() vfs.FS {
	n.gate = gate.New()
	n.host.Revive()
	n.host.Attach(n.gate)
	return vfs.Gated(vfs.WithFaults(n.disk, n.faults), n.gate)
}

func (c *cluster) listen(n *node, port int) net.Listener {
	l, err := n.host.Listen(fmt.Sprintf("%s:%d", n.host.Name(), port), true)
	require.NoError(c.t, err)
	return l
}

func (c *cluster) logger() *slog.Logger {
	if os.Getenv("VERBOSE") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (c *cluster) startCoordinator(id int32, elect bool) {
	n := c.coordinators[id]
	disk := n.incarnate()
	var peers []coordinator.Peer
	for peer := int32(1); peer <= 3; peer++ {
		name := event.CoordinatorNode(peer)
		peers = append(peers, coordinator.Peer{ID: peer, Raft: name + ":9091", RPC: name + ":9090"})
	}
	raft, err := n.host.Listen(n.host.Name()+":9091", false)
	require.NoError(c.t, err)
	n.coordinator, err = coordinator.Start(coordinator.Config{
		ID: id, ClusterID: "brokersim-test-cluster", Peers: peers, Raft: raft, RPC: c.listen(n, 9090),
		Dial: n.host.DialContext, FS: disk, Gate: n.gate, Events: c.events, Broker: c.configs,
		SnapshotEvery: c.snapshots, Elect: elect, Seed: uint64(id), Logger: c.logger().With("node", n.host.Name()),
	})
	require.NoError(c.t, err)
}

// start starts a broker's next incarnation.
func (c *cluster) start(id int32) *Broker {
	n := c.brokers[id]
	disk := n.incarnate()
	name := n.host.Name()
	var err error
	n.broker, err = Start(Config{
		ID: id, Rack: fmt.Sprintf("rack-%d", id), ClusterID: "brokersim-test-cluster", Dial: n.host.DialContext,
		Listeners: []Listener{
			{Name: metadata.InternalListener, Listener: c.listen(n, 9090), Host: name, Port: 9090},
			{Name: metadata.ClientListener, Listener: c.listen(n, 9092), Host: name, Port: 9092},
		},
		Coordinators: []string{"coordinator-1:9090", "coordinator-2:9090", "coordinator-3:9090"},
		FS:           disk, Gate: n.gate, Events: c.events, Config: c.configs, Seed: uint64(id),
		Logger: c.logger(), Failed: func(err error) { c.failures <- err },
	})
	require.NoError(c.t, err)
	return n.broker
}

// kill ends a node's process: connections are refused, what was written stays.
func (c *cluster) kill(n *node) {
	n.gate.Shut()
	n.host.Kill()
	c.join(n)
}

// powerOff takes a node's power: silence, and what was not synced is lost.
func (c *cluster) powerOff(n *node) {
	n.gate.Shut()
	n.host.PowerOff()
	c.join(n)
	n.disk.PowerLoss()
}

func (c *cluster) join(n *node) {
	if n.broker != nil {
		require.NoError(c.t, n.broker.Close())
		n.broker = nil
	}
	if n.coordinator != nil {
		require.NoError(c.t, n.coordinator.Close())
		n.coordinator = nil
	}
}

func (c *cluster) close() {
	for _, nodes := range []map[int32]*node{c.brokers, c.coordinators} {
		for _, n := range nodes {
			c.kill(n)
		}
	}
	c.events.Close()
	c.net.Close()
	if c.t.Failed() {
		for _, e := range c.events.Newest(200) {
			c.t.Logf("%s %s", e.Time.Format("15:04:05.000"), event.Narrate(e))
		}
	}
}

// live yields the brokers that run.
func (c *cluster) live() (all []*Broker) {
	for id := int32(1); id <= int32(len(c.brokers)); id++ {
		if b := c.brokers[id].broker; b != nil {
			all = append(all, b)
		}
	}
	return all
}

// eventually waits for something to become true within a minute of virtual time.
func (c *cluster) eventually(what string, cond func() bool) {
	c.t.Helper()
	for range 60_000 {
		if cond() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	require.FailNow(c.t, "never: "+what)
}

// unfenced waits until every running broker sees all of them unfenced.
func (c *cluster) unfenced() {
	c.t.Helper()
	c.eventually("every broker is unfenced", func() bool {
		for _, b := range c.live() {
			for _, other := range c.live() {
				me, ok := b.Image().Broker(other.ID())
				if !ok || me.Epoch != other.Epoch() || me.Fenced {
					return false
				}
			}
		}
		return true
	})
}

// fenced waits until every running broker sees id fenced.
func (c *cluster) fenced(id int32) {
	c.t.Helper()
	c.eventually("the broker is fenced", func() bool {
		for _, b := range c.live() {
			if other, _ := b.Image().Broker(id); !other.Fenced {
				return false
			}
		}
		return true
	})
}

// createTopic has a broker pass a CreateTopics on, and waits for what comes of it.
func (c *cluster) createTopic(name string, partitions int32, rf int16, configs ...string) {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	req.TimeoutMillis = 10_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, rf
	for i := 0; i < len(configs); i += 2 {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = configs[i], &configs[i+1]
		topic.Configs = append(topic.Configs, config)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := c.live()[0].forward(c.t.Context(), req)
	require.NoError(c.t, err)
	require.Zero(c.t, resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
	c.eventually("every broker knows the topic", func() bool {
		return !slices.ContainsFunc(c.live(), func(b *Broker) bool { return b.Image().TopicByName(name) == nil })
	})
	c.eventually("the topic has leaders and followers", func() bool { return c.settled(name, int(partitions*int32(rf))) })
}

// settled reports whether as many replicas have taken their roles for a topic,
// and every ISR is full.
func (c *cluster) settled(topic string, replicas int) bool {
	n := 0
	for _, b := range c.live() {
		for _, s := range b.Replicas() {
			if s.Topic != topic {
				continue
			}
			p, _ := b.Image().Partition(s.ID)
			if s.Role != replication.NoRole && len(p.ISR) == len(p.Replicas) && s.PartitionEpoch == p.PartitionEpoch {
				n++
			}
		}
	}
	return n == replicas
}

// leader is the broker that leads a partition by its own word, or nil.
func (c *cluster) leader(topic string, partition int32) *Broker {
	for _, b := range c.live() {
		if r := c.replica(b, topic, partition); r != nil {
			if _, ok := r.Leading(); ok {
				return b
			}
		}
	}
	return nil
}

func (c *cluster) replica(b *Broker, topic string, partition int32) *replication.Replica {
	t := b.Image().TopicByName(topic)
	if t == nil {
		return nil
	}
	return b.replica(metadata.TopicPartition{Topic: t.ID, Partition: partition})
}

func (c *cluster) state(b *Broker, topic string, partition int32) metadata.Partition {
	t := b.Image().TopicByName(topic)
	require.NotNil(c.t, t)
	return t.Partitions[partition]
}

func (c *cluster) kinds() (all []event.Kind) {
	for _, e := range c.events.Newest(4096) {
		all = append(all, e.Kind)
	}
	return all
}

// failure waits for a broker to give up.
func (c *cluster) failure() error {
	c.t.Helper()
	select {
	case err := <-c.failures:
		return err
	case <-time.After(time.Minute):
		require.FailNow(c.t, "never: a broker gives up")
		return nil
	}
}

// nothingFailed is true of every cluster whose disks and coordinators are well.
func (c *cluster) nothingFailed() {
	c.t.Helper()
	require.Empty(c.t, c.failures)
	for _, b := range c.live() {
		require.Zero(c.t, b.Panics())
	}
}
