package bench

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// What does the loss of the active coordinator cost? Nothing on the data path, is
// the hope: the p99 of acks during the two seconds after it stands beside that of
// the two seconds before.
func BenchmarkCoordinatorFailover(b *testing.B) {
	c := brokertest.Start(b, brokersim.Topic(topic, 6, 3))
	l := startLoad(b, c, tuned()...)
	const stretch = 2 * time.Second
	var took, normal, during []time.Duration
	for b.Loop() {
		before := time.Now()
		pass(stretch)
		old := c.Coordinator().Active()
		crash := time.Now()
		require.NoError(b, old.Kill())
		c.Must(brokersim.ActiveCoordinator())
		took = append(took, time.Since(crash))
		pass(stretch - time.Since(crash))
		after := time.Now()
		pass(200 * time.Millisecond) // let the last acks come

		b.StopTimer()
		normal = append(normal, l.between(before, crash)...)
		during = append(during, l.between(crash, after)...)
		l.forget()
		require.NoError(b, old.Start())
		b.StartTimer()
	}
	l.close(b)
	for _, d := range [][]time.Duration{took, normal, during} {
		slices.Sort(d)
	}
	require.NotEmpty(b, during)
	b.ReportMetric(ms(quantile(took, 0.5)), "p50-ms")
	b.ReportMetric(ms(quantile(normal, 0.99)), "normal-p99-ms")
	b.ReportMetric(ms(quantile(during, 0.99)), "during-p99-ms")
	b.ReportMetric(ms(quantile(during, 0.99))/ms(quantile(normal, 0.99)), "during/normal")
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }
