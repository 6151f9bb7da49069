package peers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafka returns Apache Kafka, where there is Java and something to find its jars with.
// One cluster serves all questions of a run, with a topic for each.
func kafka() contender {
	return contender{
		name:    "kafka-rf3",
		promise: "on 3 of 3 brokers, each a process, written to files; not synced",
		absent: func() string {
			if _, err := classpath(); err != nil {
				return err.Error()
			}
			return ""
		},
		start: func(tb testing.TB, partitions int) cluster { return newTopic(tb, warmKafka(tb), partitions) },
	}
}

// warmKafka is a cluster that runs and whose code has been compiled, by five seconds of
// load with large and small requests.
func warmKafka(tb testing.TB) *kafkaNodes {
	theKafka.mu.Lock()
	defer theKafka.mu.Unlock()
	if theKafka.nodes == nil {
		k := startKafka(tb)
		s := newTopic(tb, k, partitions)
		defer s.close()
		p := s.producer(tb)
		defer p.close()
		for value, end := payload(1<<10), time.Now().Add(5*time.Second); time.Now().Before(end); {
			require.NoError(tb, p.send(value, 4_000))
			for range 200 {
				require.NoError(tb, p.one(value))
			}
		}
		theKafka.nodes = k
	}
	return theKafka.nodes
}

var theKafka struct {
	mu     sync.Mutex
	nodes  *kafkaNodes
	topics int
}

// newTopic creates a topic and waits until it has its leaders and replicas.
func newTopic(tb testing.TB, k *kafkaNodes, partitions int) *speaker {
	theKafka.topics++
	s := &speaker{topic: fmt.Sprintf("orders-%d", theKafka.topics), addrs: k.addrs}
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addrs...), kgo.MetadataMinAge(100*time.Millisecond))
	require.NoError(tb, err)
	admin := kadm.NewClient(client)
	require.Eventually(tb, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		brokers, err := admin.ListBrokers(ctx)
		if err != nil || len(brokers) < 3 {
			return false
		}
		_, err = admin.CreateTopic(ctx, int32(partitions), 3, nil, s.topic)
		return err == nil
	}, 3*time.Minute, 100*time.Millisecond, "Kafka does not start")
	require.Eventually(tb, func() bool { return s.insync(admin) }, 30*time.Second, 50*time.Millisecond)
	s.whole = func(tb testing.TB, _ int64) { require.True(tb, s.insync(admin), "a replica fell behind") }
	s.stop = func() {
		_, _ = admin.DeleteTopic(context.Background(), s.topic)
		client.Close()
	}
	return s
}

// insync reports whether all replicas of the topic are in sync.
func (s *speaker) insync(admin *kadm.Client) bool {
	topics, err := admin.ListTopics(context.Background(), s.topic)
	if err != nil || topics.Error() != nil {
		return false
	}
	for _, p := range topics[s.topic].Partitions {
		if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			return false
		}
	}
	return len(topics[s.topic].Partitions) > 0
}
