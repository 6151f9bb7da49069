package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// How long is a partition without a leader that a client can write to? Default
// settings, three brokers, six partitions, replication factor three, real time,
// TCP. One leader is lost under a load of one record a millisecond; the time runs
// to the first ack of a record that was placed afterwards in one of its partitions.
//
// By death: the process is killed, and the coordinator finds that its port refuses
// connections. By silence: it is killed while the coordinator cannot reach it, and
// so has to wait for the session's end. By power loss nobody's connection breaks,
// the client's no more than the coordinator's: then its own timeouts are what counts,
// here 300 ms for a produce and 500 ms for the answer to come after that.
func BenchmarkFailover(b *testing.B) {
	kill := (*brokersim.Broker).Kill
	for _, way := range []struct {
		name string
		loss loss
		opts []kgo.Opt
	}{
		{"by=death/client=tuned", loss{end: kill}, tuned()},
		{"by=death/client=default", loss{end: kill}, nil},
		{"by=silence/client=tuned", loss{end: kill, unseen: true}, tuned()},
		{"by=silence/client=default", loss{end: kill, unseen: true}, nil},
		{"by=power-loss/client=tuned", loss{end: (*brokersim.Broker).PowerOff}, append(tuned(),
			kgo.ProduceRequestTimeout(300*time.Millisecond), kgo.RequestTimeoutOverhead(500*time.Millisecond))},
	} {
		b.Run(way.name, func(b *testing.B) { failover(b, way.loss, way.opts) })
	}
}

// A loss is how a broker goes.
type loss struct {
	end    func(*brokersim.Broker) error
	unseen bool // the coordinator cannot reach it
}

func (l loss) of(c *brokertest.C, broker *brokersim.Broker) error {
	if l.unseen {
		c.Net().Cut([]brokersim.End{brokersim.B(broker.ID())}, []brokersim.End{brokersim.Q(1), brokersim.Q(2), brokersim.Q(3)})
	}
	return l.end(broker)
}

func failover(b *testing.B, loss loss, opts []kgo.Opt) {
	c := brokertest.Start(b, brokersim.Topic(topic, 6, 3))
	l := startLoad(b, c, opts...)
	l.firstAfter(b, time.Now(), []int32{0, 1, 2, 3, 4, 5})

	var whole, sinceFencing []time.Duration
	var phases phases
	for b.Loop() {
		victim := c.Leader(topic, 0)
		before := c.Snapshot()
		crash := time.Now()
		require.NoError(b, loss.of(c, victim))
		first := l.firstAfter(b, crash, ledBy(before, victim.ID()))
		whole = append(whole, first.acked.Sub(crash))
		f := findFailover(b, c, before.Seq, victim.ID(), first.partition)
		sinceFencing = append(sinceFencing, first.acked.Sub(f.fenced))
		phases.add(crash, f, first.acked)

		b.StopTimer()
		c.Heal()
		require.NoError(b, victim.Start())
		c.Must(brokersim.FullISR())
		l.forget()
		b.StartTimer()
	}
	l.close(b)
	slices.Sort(whole)
	slices.Sort(sinceFencing)
	b.ReportMetric(ms(quantile(whole, 0.5)), "p50-ms")
	b.ReportMetric(ms(whole[len(whole)-1]), "max-ms")
	b.ReportMetric(ms(quantile(sinceFencing, 0.5)), "fencing-to-ack-p50-ms")
	phases.report(b)
}

func ledBy(s brokersim.Snapshot, broker int32) (partitions []int32) {
	for _, p := range s.Partitions {
		if p.Leader == broker {
			partitions = append(partitions, p.Partition)
		}
	}
	return partitions
}

// Does a busy machine look like a dead one? Every core spins for thirty seconds
// under load; nobody may be fenced.
func BenchmarkNoSpuriousFencing(b *testing.B) {
	for b.Loop() {
		c := brokertest.Start(b, brokersim.Topic(topic, 6, 3))
		l := startLoad(b, c, tuned()...)
		since := c.Snapshot().Seq
		spin(30 * time.Second)
		b.StopTimer()
		fenced := 0
		for _, e := range eventsSince(c, since) {
			if e.Kind == event.BrokerFenced {
				fenced++
				b.Log(event.Narrate(e))
			}
		}
		require.Zero(b, fenced, "a live broker was fenced")
		l.close(b)
		b.StartTimer()
	}
}
