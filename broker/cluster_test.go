package broker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/coordinator"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A testCluster is one coordinator node and a few brokers, real ones, on a real
// network in memory. Start it inside a synctest bubble; it closes itself.
type testCluster struct {
	t       *testing.T
	ctx     context.Context
	id      string
	net     *network.Network
	config  *metadata.BrokerConfig
	events  *event.Log
	quorum  *coordinator.Node
	gate    *gate.Gate // the coordinator's
	brokers map[int32]*testBroker

	mu      sync.Mutex
	clients []*wire.Client
}

// A testBroker is one broker and the machine that it runs on.
type testBroker struct {
	*Broker
	c    *testCluster
	id   int32
	host *network.Host
	disk *vfs.Mem
	gate *gate.Gate
}

// startCluster returns once n brokers are unfenced. kv are brokers' configs.
func startCluster(t *testing.T, n int, kv ...string) *testCluster {
	t.Helper()
	configs := map[string]string{}
	for _, c := range kv {
		name, value, _ := strings.Cut(c, "=")
		configs[name] = value
	}
	config, err := metadata.NewBrokerConfig(configs)
	require.NoError(t, err)
	c := &testCluster{
		t: t, ctx: context.Background(), id: "AAAAAAAAQACAAAAAAAAABQ",
		net: network.New(1), config: config, events: event.NewLog(4096), brokers: map[int32]*testBroker{},
	}
	t.Cleanup(c.close)
	c.startCoordinator()
	for id := int32(1); id <= int32(n); id++ {
		c.brokers[id] = &testBroker{c: c, id: id, host: c.net.Host(event.BrokerNode(id)), disk: vfs.NewMem(uint64(id))}
		c.brokers[id].start()
	}
	for _, b := range c.brokers {
		c.await(b, "every broker is unfenced", func(im *metadata.Image) bool {
			brokers := im.Brokers()
			return len(brokers) == n && !slices.ContainsFunc(brokers, func(b metadata.Broker) bool { return !b.Active() })
		})
	}
	return c
}

func (c *testCluster) startCoordinator() {
	host := c.net.Host("coordinator-1")
	c.gate = gate.New()
	host.Attach(c.gate)
	peer := coordinator.Peer{ID: 1, Raft: "coordinator-1:9091", RPC: "coordinator-1:9090"}
	raft, err := host.Listen(peer.Raft, false)
	require.NoError(c.t, err)
	rpc, err := host.Listen(peer.RPC, true)
	require.NoError(c.t, err)
	c.quorum, err = coordinator.Start(coordinator.Config{
		ID: 1, ClusterID: c.id, Peers: []coordinator.Peer{peer}, Raft: raft, RPC: rpc, Dial: host.DialContext,
		FS: vfs.Gated(vfs.NewMem(100), c.gate), Gate: c.gate, Events: c.events, Broker: c.config, Elect: true, Seed: 1,
	})
	require.NoError(c.t, err)
}

// start begins a new incarnation with the same disk and addresses.
func (b *testBroker) start() {
	t := b.c.t
	t.Helper()
	b.gate = gate.New()
	b.host.Revive()
	b.host.Attach(b.gate)
	name := b.host.Name()
	var doors []Listener
	for _, d := range []Listener{
		{Name: metadata.InternalListener, Host: name, Port: 9090},
		{Name: metadata.ClientListener, Host: name, Port: 9092},
	} {
		l, err := b.host.Listen(fmt.Sprintf("%s:%d", name, d.Port), true)
		require.NoError(t, err)
		d.Listener = l
		doors = append(doors, d)
	}
	var err error
	b.Broker, err = Start(Config{
		ID: b.id, Rack: "rack-" + string('a'+rune(b.id-1)), ClusterID: b.c.id, Listeners: doors,
		Dial: b.host.DialContext, Coordinators: []string{"coordinator-1:9090"}, FS: vfs.Gated(b.disk, b.gate),
		Gate: b.gate, Events: b.c.events, Config: b.c.config, Seed: uint64(b.id),
		Failed: func(err error) { t.Errorf("broker %d gave up: %v", b.id, err) },
	})
	require.NoError(t, err)
}

// kill ends the broker's process as SIGKILL does.
func (b *testBroker) kill() {
	b.gate.Shut()
	b.host.Kill()
	b.checkPanics()
	require.NoError(b.c.t, b.Close())
}

// powerOff ends the broker's machine, with what was not synced.
func (b *testBroker) powerOff() {
	b.gate.Shut()
	b.host.PowerOff()
	require.NoError(b.c.t, b.Close())
	b.disk.PowerLoss()
}

func (b *testBroker) checkPanics() {
	if n := b.Panics(); n > 0 {
		b.c.t.Errorf("%d handlers of broker %d panicked", n, b.id)
	}
}

func (c *testCluster) close() {
	for _, client := range c.clients {
		client.Close()
	}
	for _, b := range c.brokers {
		if b.Broker != nil && !b.gate.IsShut() {
			b.checkPanics()
			if err := b.Stop(); err != nil {
				c.t.Errorf("stopping broker %d: %v", b.id, err)
			}
			b.gate.Shut()
			b.host.Kill()
		}
	}
	if c.quorum != nil {
		if err := c.quorum.Close(); err != nil {
			c.t.Errorf("closing the coordinator: %v", err)
		}
	}
	c.events.Close()
	c.net.Close()
}

// await waits until a broker's image satisfies cond.
func (c *testCluster) await(b *testBroker, what string, cond func(*metadata.Image) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 30*time.Second)
	defer cancel()
	if err := b.until(ctx, cond); err != nil {
		c.t.Fatalf("broker %d never saw that %s: %v", b.id, what, err)
	}
}

// client returns a client of a broker's CLIENTS listener, with a connection of its own.
func (c *testCluster) client(id int32) *wire.Client { return c.connect("clients", id, 9092) }

// peer returns a client of a broker's INTERNAL listener.
func (c *testCluster) peer(id int32) *wire.Client { return c.connect("coordinator-1", id, 9090) }

func (c *testCluster) connect(from string, id int32, port int) *wire.Client {
	addr := fmt.Sprintf("broker-%d:%d", id, port)
	client := wire.NewClient(wire.ClientConfig{ClientID: "test", Dial: func(ctx context.Context) (net.Conn, error) {
		return c.net.Host(from).DialContext(ctx, "tcp", addr)
	}})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients = append(c.clients, client)
	return client
}

// ask sends a request and returns its answer, which must come within a minute.
func ask[R kmsg.Response](t *testing.T, client *wire.Client, req kmsg.Request) R {
	t.Helper()
	resp, err := try(client, req)
	require.NoError(t, err, "%s v%d", kmsg.NameForKey(req.Key()), req.GetVersion())
	return resp.(R)
}

// try sends a request; an error means that the connection ended instead.
func try(client *wire.Client, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return client.Do(ctx, req)
}

// createTopic creates a topic with every replica assigned in the order of
// assignment, for partition after partition, and waits until all brokers know it
// and every ISR is full.
func (c *testCluster) createTopic(name string, assignment [][]int32, kv ...string) *metadata.Topic {
	c.t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	for n, replicas := range assignment {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(n), Replicas: replicas})
	}
	for _, c := range kv {
		name, value, _ := strings.Cut(c, "=")
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 7, 10000, []kmsg.CreateTopicsRequestTopic{topic}
	resp := ask[*kmsg.CreateTopicsResponse](c.t, c.client(1), req)
	require.Len(c.t, resp.Topics, 1)
	require.Zero(c.t, resp.Topics[0].ErrorCode, "creating %s: %v", name, resp.Topics[0].ErrorMessage)
	for _, b := range c.brokers {
		if b.gate.IsShut() {
			continue
		}
		c.await(b, name+" has full ISRs", func(im *metadata.Image) bool {
			t := im.TopicByName(name)
			return t != nil && !slices.ContainsFunc(t.Partitions, func(p metadata.Partition) bool {
				return len(p.ISR) != len(p.Replicas) || p.Leader == metadata.NoLeader
			})
		})
	}
	return c.brokers[1].Image().TopicByName(name)
}

// kgo returns a real client of the cluster; the caller closes it.
func (c *testCluster) kgo(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	var seeds []string
	for id := range c.brokers {
		seeds = append(seeds, fmt.Sprintf("broker-%d:9092", id))
	}
	slices.Sort(seeds)
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.Dialer(c.net.Host("clients").DialContext),
		kgo.MetadataMinAge(20 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
	}, opts...)
	client, err := kgo.NewClient(opts...)
	require.NoError(c.t, err)
	return client
}
