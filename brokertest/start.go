package brokertest

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/brokersim/brokersim"
)

// TB is the part of testing.TB that is needed, so that other frameworks can fit it.
type TB interface {
	Helper()
	Name() string
	Logf(string, ...any)
	Fatalf(string, ...any)
	Failed() bool
	Cleanup(func())
	Context() context.Context
	ArtifactDir() string
	Output() io.Writer
}

// C is a Cluster whose methods end the test instead of returning an error.
type C struct {
	*brokersim.Cluster
	tb      TB
	report  *report
	virtual bool
	first   map[string]bool // topics that were there when the test began
	unruly  sync.Map        // groups, by id
}

// Start starts a cluster for a test; see the package comment for what that
// includes. Options that are given win over Start's own.
func Start(tb TB, opts ...brokersim.Option) *C {
	tb.Helper()
	c := &C{tb: tb, virtual: inBubble(), report: newReport(tb)}
	own := []brokersim.Option{brokersim.Logger(slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))}
	if c.virtual {
		own = append(own, brokersim.InMemoryClients())
	}
	own = append(own, c.report.options()...)
	cluster, err := brokersim.New(tb.Context(), append(own, opts...)...)
	if err != nil {
		c.report.close()
		tb.Fatalf("%v", err)
		return nil
	}
	c.Cluster = cluster
	c.first = c.topics()
	tb.Cleanup(c.cleanUp)
	return c
}

// cleanUp ends the cluster and says everything that is wrong with it, in one go:
// a failure in the middle would leave the rest undone.
func (c *C) cleanUp() {
	c.tb.Helper()
	c.Heal()
	wrong := c.broken()
	if c.tb.Failed() || len(wrong) > 0 {
		c.report.write(c.Cluster)
	}
	if err := c.Close(); err != nil {
		wrong = append(wrong, err)
	}
	c.report.close()
	if !c.virtual { // a bubble finds what is left by itself
		wrong = append(wrong, leaks(c.Cluster)...)
	}
	if len(wrong) > 0 {
		c.tb.Fatalf("%s", lines("when the test ended:", wrong))
	}
}

// patience is how long Must waits.
const patience = 30 * time.Second

// Must waits until cond holds, 30 seconds at most, and ends the test if it does not.
func (c *C) Must(cond brokersim.Cond) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), patience)
	defer cancel()
	if err := c.Wait(ctx, cond); err != nil {
		c.tb.Fatalf("%v", err)
	}
}

// Leader waits until the partition has a leader and returns it.
func (c *C) Leader(topic string, partition int32) *brokersim.Broker {
	c.tb.Helper()
	var leader *brokersim.Broker
	c.Must(func(s brokersim.Snapshot) (bool, string) {
		ok, why := brokersim.HasLeader(topic, partition)(s)
		if ok {
			p, _ := s.Partition(topic, partition)
			leader = c.Cluster.Broker(p.Leader)
		}
		return ok, why
	})
	return leader
}

// Broker returns the broker with that id.
func (c *C) Broker(id int32) *brokersim.Broker {
	c.tb.Helper()
	b := c.Cluster.Broker(id)
	if b == nil {
		c.tb.Fatalf("there is no broker %d; they count from 1 to %d", id, len(c.Brokers()))
	}
	return b
}

// Partition looks at a partition, which must exist.
func (c *C) Partition(topic string, partition int32) brokersim.PartitionState {
	c.tb.Helper()
	p, ok := c.Snapshot().Partition(topic, partition)
	if !ok {
		c.tb.Fatalf("there is no partition %s-%d", topic, partition)
	}
	return p
}

// CreateTopic creates a topic and waits until every partition has a leader.
func (c *C) CreateTopic(name string, partitions, rf int, cfg ...string) {
	c.tb.Helper()
	if err := c.Cluster.CreateTopic(name, partitions, rf, cfg...); err != nil {
		c.tb.Fatalf("%v", err)
	}
}
