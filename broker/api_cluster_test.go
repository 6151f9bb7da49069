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

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A testCluster is a cluster as its clients see it: it is spoken to over its
// listeners. It closes itself at the end of the test.
type testCluster struct {
	*cluster
	id      string
	brokers map[int32]*testBroker

	mu      sync.Mutex
	clients []*wire.Client
}

// A testBroker is the newest incarnation of a broker.
type testBroker struct {
	*Broker
	c  *cluster
	id int32
}

func (b *testBroker) start()    { b.Broker = b.c.start(b.id) }
func (b *testBroker) kill()     { b.c.kill(b.c.brokers[b.id]) }
func (b *testBroker) powerOff() { b.c.powerOff(b.c.brokers[b.id]) }

// startCluster returns once n brokers are unfenced, in the bubble that it is
// called in. configs are "name=value".
func startCluster(t *testing.T, n int, configs ...string) *testCluster {
	t.Helper()
	settings := map[string]string{}
	for _, c := range configs {
		name, value, _ := strings.Cut(c, "=")
		settings[name] = value
	}
	c := &testCluster{cluster: newCluster(t, n, settings), id: "brokersim-test-cluster", brokers: map[int32]*testBroker{}}
	t.Cleanup(func() {
		for _, client := range c.clients {
			client.Close()
		}
		c.nothingFailed()
		c.close()
	})
	for id, node := range c.cluster.brokers {
		c.brokers[id] = &testBroker{node.broker, c.cluster, id}
	}
	c.unfenced()
	return c
}

// await waits until a broker's image satisfies cond.
func (c *testCluster) await(b *testBroker, what string, cond func(*metadata.Image) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
	client := wire.NewClient(wire.ClientConfig{ClientID: "test", Dial: func(ctx context.Context) (net.Conn, error) {
		return c.net.Host(from).DialContext(ctx, "tcp", fmt.Sprintf("broker-%d:%d", id, port))
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

// createTopic creates a topic with these replicas for each partition, and waits
// until every broker has leaders and full ISRs. configs are "name=value".
func (c *testCluster) createTopic(name string, assignment [][]int32, configs ...string) *metadata.Topic {
	c.t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	replicas := 0
	for n, ids := range assignment {
		replicas += len(ids)
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(n), Replicas: ids})
	}
	for _, c := range configs {
		name, value, _ := strings.Cut(c, "=")
		topic.Configs = append(topic.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 7, 10000, []kmsg.CreateTopicsRequestTopic{topic}
	resp := ask[*kmsg.CreateTopicsResponse](c.t, c.client(1), req)
	require.Len(c.t, resp.Topics, 1)
	if m := resp.Topics[0].ErrorMessage; m != nil {
		require.FailNow(c.t, "creating "+name, *m)
	}
	c.eventually(name+" is known, with leaders and followers", func() bool {
		unaware := func(b *Broker) bool { return b.Image().TopicByName(name) == nil }
		return !slices.ContainsFunc(c.live(), unaware) && c.settled(name, replicas)
	})
	return c.brokers[1].Image().TopicByName(name)
}

// kgo returns a real client of the cluster; closeKgo ends it.
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

// later runs f after d, beside what follows; the returned function waits for it.
func later(d time.Duration, f func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		time.Sleep(d)
		f()
	})
	return wg.Wait
}
