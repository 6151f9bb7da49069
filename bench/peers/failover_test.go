package peers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// How long is nobody there to write to when the leader's node crashes? Default settings of
// each, three nodes, three replicas. An operation is one crash: of a process by SIGKILL, or of
// a broker of brokersim by Kill, where its port refuses connections from then on, too. The time
// runs from there to the acknowledgement of the first record that was produced after it.
//
// brokersim-rf3 sees that a port refuses; brokersim-rf3-unseen is kept from it, as by a cable
// that was cut, and waits for the session's end. client=tuned looks for the new leader every
// 20 ms, client=default is kgo with its 5 seconds between two looks at the metadata. NATS's client
// is its own, connected to a server that lives on; tuned it sends again after 100 ms, by default
// after 5 seconds.
func BenchmarkFailover(b *testing.B) {
	pause := 20 * time.Millisecond
	tuned := []kgo.Opt{kgo.MetadataMinAge(pause), kgo.RetryBackoffFn(func(int) time.Duration { return pause })}
	b.Run("client=tuned", func(b *testing.B) { failovers(b, tuned, 100*time.Millisecond) })
	b.Run("client=default", func(b *testing.B) { failovers(b, nil, 0) })
}

// A crasher has a leader that can be crashed.
type crasher interface {
	start(tb testing.TB)
	one() error // produces a record and waits for its ack, if need be for a long time
	crash(tb testing.TB)
	repair(tb testing.TB)
	close()
}

func failovers(b *testing.B, opts []kgo.Opt, patience time.Duration) {
	for _, who := range []struct {
		name string
		crasher
	}{
		{"brokersim-rf3", &oursCrash{opts: opts}},
		{"brokersim-rf3-unseen", &oursCrash{opts: opts, unseen: true}},
		{"nats-r3", &natsCrash{patience: patience}},
		{"kafka-rf3", &kafkaCrash{opts: opts}},
	} {
		b.Run("system="+who.name, func(b *testing.B) { failover(b, who.crasher) })
	}
}

func failover(b *testing.B, c crasher) {
	c.start(b)
	defer c.close()
	var took time.Duration
	for b.Loop() {
		b.StopTimer()
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
			require.NoError(b, c.one())
		}
		b.StartTimer()
		began := time.Now()
		c.crash(b)
		require.NoError(b, c.one())
		took += time.Since(began)
		b.StopTimer()
		c.repair(b)
		b.StartTimer()
	}
	b.ReportMetric(float64(took)/float64(time.Millisecond)/float64(b.N), "ms/failover")
}

// oursCrash crashes a broker of brokersim.
type oursCrash struct {
	opts   []kgo.Opt
	unseen bool
	c      *brokertest.C
	client *kgo.Client
	victim *brokersim.Broker
}

func (o *oursCrash) start(tb testing.TB) {
	o.c = brokertest.Start(tb, quiet, brokersim.Topic(topic, 1, 3))
	s := &speaker{topic: topic, addrs: o.c.Addrs()}
	o.client = s.client(tb, o.opts...)
}

func (o *oursCrash) one() error { return kgoProducer{o.client}.one([]byte("order")) }

func (o *oursCrash) crash(tb testing.TB) {
	o.victim = o.c.Leader(topic, 0)
	if o.unseen {
		o.c.Net().Cut([]brokersim.End{brokersim.B(o.victim.ID())}, []brokersim.End{brokersim.Q(1), brokersim.Q(2), brokersim.Q(3)})
	}
	require.NoError(tb, o.victim.Kill())
}

func (o *oursCrash) repair(tb testing.TB) {
	o.c.Heal()
	require.NoError(tb, o.victim.Start())
	o.c.Must(brokersim.FullISR())
}

func (o *oursCrash) close() { o.client.Close() }

// kafkaCrash kills the process of an Apache Kafka node.
type kafkaCrash struct {
	opts   []kgo.Opt
	nodes  *kafkaNodes
	topic  *speaker
	client *kgo.Client
	victim int
}

func (k *kafkaCrash) start(tb testing.TB) {
	if why := kafka().absent(); why != "" {
		tb.Skipf("kafka-rf3 is left out: %s", why)
	}
	k.nodes = warmKafka(tb)
	k.topic = newTopic(tb, k.nodes, 1)
	k.client = k.topic.client(tb, k.opts...)
}

func (k *kafkaCrash) one() error { return kgoProducer{k.client}.one([]byte("order")) }

func (k *kafkaCrash) crash(tb testing.TB) {
	topics, err := kadm.NewClient(k.client).ListTopics(context.Background(), k.topic.topic)
	require.NoError(tb, err)
	k.victim = int(topics[k.topic.topic].Partitions[0].Leader) - 1
	k.nodes.processes[k.victim].kill()
}

// repair starts the node again and waits until it is in sync.
func (k *kafkaCrash) repair(tb testing.TB) {
	k.nodes.processes[k.victim].end()
	k.nodes.processes[k.victim] = k.nodes.run(tb, k.victim)
	admin := kadm.NewClient(k.client)
	require.Eventually(tb, func() bool { return k.topic.insync(admin) }, 3*time.Minute, 100*time.Millisecond)
}

func (k *kafkaCrash) close() {
	k.client.Close()
	k.topic.close()
}
