package peers

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
)

// How long does one record take to be acknowledged by all in-sync replicas, if the
// client sends the next only then? An operation is 4,000 records of 1 KiB, or as many as
// patience lets be.
func BenchmarkAck(b *testing.B) {
	for _, q := range []struct {
		where string
		who   []contender
	}{
		{"on=memory/net=tcp", []contender{nothing(), ours(1, "memory"), inMemory(), ours(3, "memory"), nats("memory")}},
		{"on=disk/net=tcp", []contender{onDisk(), ours(3, "disk"), nats("disk"), kafka()}},
		{"on=memory/net=memory", []contender{ours(3, "memory", brokersim.InMemoryClients()), virtual()}},
	} {
		b.Run(q.where, func(b *testing.B) { used.against(b, q.who, 1, ack) })
	}
}

func ack(b *testing.B, c cluster) {
	const records = 4_000
	p := c.producer(b)
	defer p.close()
	value := payload(1 << 10)
	sent, took := int64(0), newHistogram()
	one := func() {
		began := time.Now()
		err := p.one(value)
		_ = took.RecordValue(int64(time.Since(began)))
		if err != nil {
			b.Fatal(err)
		}
		sent++
	}
	repeat(b, records, took, one)
	report(b, took)
	c.requireRecords(b, sent)
}

// patience is how long an operation waits for one record after the other.
const patience = 3 * time.Second

// repeat does one so often, or until there is no patience left, for each operation, and before
// them an eighth of it that does not count.
func repeat(b *testing.B, times int, took *hdrhistogram.Histogram, one func()) {
	within := func(times int, patience time.Duration) (done int64) {
		for end := time.Now().Add(patience); done < int64(times) && time.Now().Before(end); done++ {
			one()
		}
		return done
	}
	within(times/8, patience/2)
	took.Reset()
	done := int64(0)
	for b.Loop() {
		done += within(times, patience)
	}
	require.Equal(b, done, took.TotalCount())
}

// newHistogram takes durations from a microsecond to a minute.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)
}

// report reports the quantiles; the finer ones are what a distribution is drawn from.
func report(b *testing.B, took *hdrhistogram.Histogram) {
	for _, q := range []struct {
		of   float64
		unit string
	}{{10, "p10-us"}, {50, "p50-us"}, {90, "p90-us"}, {99, "p99-us"}, {99.9, "p99.9-us"}} {
		b.ReportMetric(float64(took.ValueAtPercentile(q.of))/1e3, q.unit)
	}
}
